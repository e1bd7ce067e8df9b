//! Embeds the design kit's typeface, if npm can bring it; without it the pages use a system font.
//!
//! `RACCORDO_KIT=off` never asks npm, `RACCORDO_KIT=require` stops the build where the kit cannot
//! be had. The versions and hashes stand in `ui/package-lock.json`; an `ui/node_modules` made by
//! hand is used as it is. Writes only below `OUT_DIR`.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// What unicode-range the two cuts of the typeface cover, as the package states it.
const CUTS: [(&str, &str); 2] = [
    (
        "latin-ext",
        "U+0100-02BA,U+02BD-02C5,U+02C7-02CC,U+02CE-02D7,U+02DD-02FF,U+0304,U+0308,U+0329,U+1D00-1DBF,U+1E00-1E9F,U+1EF2-1EFF,U+2020,U+20A0-20AB,U+20AD-20C0,U+2113,U+2C60-2C7F,U+A720-A7FF",
    ),
    (
        "latin",
        "U+0000-00FF,U+0131,U+0152-0153,U+02BB-02BC,U+02C6,U+02DA,U+02DC,U+0304,U+0308,U+0329,U+2000-206F,U+20AC,U+2122,U+2191,U+2193,U+2212,U+2215,U+FEFF,U+FFFD",
    ),
];
const WEIGHTS: [u16; 3] = [400, 600, 700];
const PACKAGE: &str = "node_modules/@fontsource/titillium-web/files";

fn main() -> Result<(), Box<dyn Error>> {
    for watched in [
        "build.rs",
        "ui/package.json",
        "ui/package-lock.json",
        "ui/node_modules",
    ] {
        // Naming an absent path would make cargo run this at every build.
        if watched != "ui/node_modules" || Path::new(watched).exists() {
            println!("cargo:rerun-if-changed={watched}");
        }
    }
    println!("cargo:rerun-if-env-changed=RACCORDO_KIT");
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let wish = env::var("RACCORDO_KIT").unwrap_or_default();
    let fonts = if wish == "off" {
        Ok(None)
    } else {
        fonts(&out).map(Some)
    };
    let fonts = match fonts {
        Ok(fonts) => fonts,
        Err(problem) if wish == "require" => return Err(format!("design kit: {problem}").into()),
        Err(problem) => {
            println!(
                "cargo:warning=design kit not embedded ({problem}); the pages use a system font. Install Node.js 20 or later with npm and build again, or set RACCORDO_KIT=off"
            );
            // Naming an absent path makes cargo run this at the next build, when npm may be there.
            println!("cargo:rerun-if-changed={}", out.join("absent").display());
            None
        }
    };
    fs::write(out.join("kit.rs"), source(&out, fonts.as_deref())?)?;
    Ok(())
}

/// The folder with the fonts, brought once for each lock file.
fn fonts(out: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let by_hand = Path::new(&env::var("CARGO_MANIFEST_DIR")?)
        .join("ui")
        .join(PACKAGE);
    if by_hand.is_dir() {
        return Ok(by_hand);
    }
    let kit = out.join("kit");
    let (fonts, stamp) = (kit.join("fonts"), kit.join("stamp"));
    let lock = fs::read("ui/package-lock.json")?;
    if fs::read(&stamp).is_ok_and(|known| known == lock) {
        return Ok(fonts);
    }
    if kit.exists() {
        fs::remove_dir_all(&kit)?;
    }
    fs::create_dir_all(&fonts)?;
    fs::copy("ui/package.json", kit.join("package.json"))?;
    fs::copy("ui/package-lock.json", kit.join("package-lock.json"))?;
    npm(&kit)?;
    for name in names() {
        let name = format!("{name}.woff2");
        fs::copy(kit.join(PACKAGE).join(&name), fonts.join(&name))
            .map_err(|problem| format!("{name}: {problem}"))?;
    }
    fs::remove_dir_all(kit.join("node_modules"))?;
    fs::write(stamp, lock)?;
    Ok(fonts)
}

fn npm(kit: &Path) -> Result<(), Box<dyn Error>> {
    let program = if cfg!(windows) { "npm.cmd" } else { "npm" };
    let done = Command::new(program)
        .args([
            "ci",
            "--ignore-scripts",
            "--omit=dev",
            "--no-audit",
            "--no-fund",
        ])
        .args([
            "--prefer-offline",
            "--fetch-retries=1",
            "--fetch-timeout=20000",
        ])
        .current_dir(kit)
        .output()
        .map_err(|problem| format!("npm cannot be run: {problem}"))?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let line = said
        .lines()
        .find(|line| line.contains("code E"))
        .unwrap_or("no code given")
        .trim();
    Err(format!("npm ci failed: {line}").into())
}

/// Rust that embeds the fonts and the style that names them.
fn source(out: &Path, fonts: Option<&Path>) -> Result<String, Box<dyn Error>> {
    let mut source = String::from("const KIT: &[Asset] = &[\n");
    if let Some(fonts) = fonts {
        let mut style = String::new();
        for weight in WEIGHTS {
            for (cut, range) in CUTS {
                let name = format!("{}.woff2", file(cut, weight));
                let path = fonts.join(&name);
                writeln!(
                    source,
                    "    ({name:?}, \"font/woff2\", include_bytes!({:?})),",
                    path.display().to_string()
                )?;
                writeln!(
                    style,
                    "@font-face {{ font-family: \"Titillium Web\"; font-weight: {weight}; font-display: swap; src: url(\"{name}?v={}\") format(\"woff2\"); unicode-range: {range}; }}",
                    fs::metadata(&path)?.len()
                )?;
            }
        }
        let path = out.join("fonts.css");
        fs::write(&path, style)?;
        writeln!(
            source,
            "    (\"fonts.css\", \"text/css; charset=utf-8\", include_bytes!({:?})),",
            path.display().to_string()
        )?;
    }
    source.push_str("];\n");
    Ok(source)
}

fn names() -> impl Iterator<Item = String> {
    WEIGHTS
        .into_iter()
        .flat_map(|weight| CUTS.into_iter().map(move |(cut, _)| file(cut, weight)))
}

fn file(cut: &str, weight: u16) -> String {
    format!("titillium-web-{cut}-{weight}-normal")
}
