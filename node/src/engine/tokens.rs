//! Access tokens of people and programs: shown once, kept as a hash, their names sealed.

use aws_lc_rs::digest::{SHA256, digest};
use raccordo_crdt_model::UnixMillis;

use crate::access::{Grant, Principal, Scope};
use crate::clock::draw;
use crate::store::Table;

use super::accounts;
use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::draft::Draft;
use super::fields::{FieldReader, FieldWriter};
use super::task::Done;
use super::view::{CommandFailed, TokenView};

/// Rows without roles: those of the first layout have every right of the office.
const VERSION_BARE: u8 = 1;
const VERSION: u8 = 2;
/// Longest name of a token, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What can be done about tokens.
#[derive(Debug)]
pub(crate) enum TokenCommand {
    Create {
        name: String,
        hash: [u8; 32],
        grants: Vec<Grant>,
        scopes: Vec<Scope>,
    },
    Revoke {
        name: String,
    },
}

pub(crate) fn execute(
    draft: &mut Draft<'_>,
    command: TokenCommand,
    by: &str,
) -> Result<Done, CommandFailed> {
    match command {
        TokenCommand::Create {
            name,
            hash,
            grants,
            scopes,
        } => create(draft, &name, &hash, &grants, &scopes, by),
        TokenCommand::Revoke { name } => revoke(draft, &name, by),
    }
}

/// The hash under which a token is kept.
pub(crate) fn hash_of(token: &str) -> [u8; 32] {
    digest(&SHA256, token.as_bytes())
        .as_ref()
        .try_into()
        .expect("SHA-256 gives 32 bytes")
}

/// A token by its hash, if it is valid.
pub(crate) fn by_hash(core: &Core, hash: &[u8; 32]) -> Result<Option<TokenView>, ReadFailed> {
    let row = core.store.get(Table::Tokens, hash)?;
    row.map(|row| open(core, hash, &row)).transpose()
}

/// All tokens, by name.
pub(crate) fn all(core: &Core) -> Result<Vec<TokenView>, ReadFailed> {
    let mut views = rows(core)?
        .into_iter()
        .map(|(_, view)| view)
        .collect::<Vec<_>>();
    views.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(views)
}

fn rows(core: &Core) -> Result<Vec<([u8; 32], TokenView)>, ReadFailed> {
    let rows = core.store.scan(Table::Tokens, &[], None, 10_000)?;
    let open = |(key, row): (Vec<u8>, Vec<u8>)| {
        let hash: [u8; 32] = key.try_into().unwrap_or_default();
        open(core, &hash, &row).map(|view| (hash, view))
    };
    rows.into_iter().map(open).collect()
}

fn create(
    draft: &mut Draft<'_>,
    name: &str,
    hash: &[u8; 32],
    grants: &[Grant],
    scopes: &[Scope],
    by: &str,
) -> Result<Done, CommandFailed> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > NAME_CHARS_MAX {
        let detail = format!("a token's name has 1 to {NAME_CHARS_MAX} characters");
        return Err(CommandFailed::Malformed { detail });
    }
    if rows(draft.core)?.iter().any(|(_, view)| view.name == name) {
        let detail = format!(
            "there is a token named {name} already: choose another name or revoke that one"
        );
        return Err(CommandFailed::Malformed { detail });
    }
    accounts::names_nobody(name)?;
    accounts::check_grants(grants)?;
    if accounts::by_name(draft.core, name)?.is_some() {
        let detail = format!(
            "there is an account named {name} already: names are shown as authors and must differ"
        );
        return Err(CommandFailed::Malformed { detail });
    }
    let mut out = FieldWriter::new(VERSION);
    out.text(name).i64(draft.now_ms);
    accounts::write_grants(&mut out, grants);
    out.u8(u8::try_from(scopes.len()).unwrap_or(u8::MAX));
    for scope in scopes {
        out.text(scope.word());
    }
    let plain = out.finish();
    let nonce = draw(&*draft.core.entropy);
    let sealed = draft
        .core
        .node_seal
        .seal(Table::Tokens, NODE_DOCUMENT, hash, &plain, nonce);
    draft.batch.put(Table::Tokens, *hash, sealed);
    draft.audit(by, "create-token", "", name);
    Ok(Done::Nothing)
}

fn revoke(draft: &mut Draft<'_>, name: &str, by: &str) -> Result<Done, CommandFailed> {
    let rows = rows(draft.core)?;
    let found = rows.iter().find(|(_, view)| view.name == name);
    let (hash, _) = found.ok_or_else(|| CommandFailed::NotFound {
        kind: "token",
        id: name.to_owned(),
    })?;
    draft.batch.delete(Table::Tokens, *hash);
    draft.audit(by, "revoke-token", "", name);
    Ok(Done::Nothing)
}

fn open(core: &Core, hash: &[u8; 32], row: &[u8]) -> Result<TokenView, ReadFailed> {
    let plain = core
        .node_seal
        .open(Table::Tokens, NODE_DOCUMENT, hash, row)?;
    if plain.first() == Some(&VERSION_BARE) {
        let mut fields = FieldReader::open("token", VERSION_BARE, &plain)?;
        let name = fields.text()?;
        return Ok(TokenView {
            created_at: UnixMillis(fields.i64()?),
            grants: Principal::office(&name).grants,
            scopes: Vec::new(),
            name,
        });
    }
    let mut fields = FieldReader::open("token", VERSION, &plain)?;
    let (name, created_at) = (fields.text()?, UnixMillis(fields.i64()?));
    let grants = accounts::read_grants(&mut fields)?;
    let mut scopes = Vec::new();
    for _ in 0..fields.u8()? {
        let word = fields.text()?;
        // A scope of a later version narrows: leaving it out would widen.
        scopes.push(Scope::from_word(&word).ok_or_else(|| fields.bad())?);
    }
    Ok(TokenView {
        name,
        created_at,
        grants,
        scopes,
    })
}
