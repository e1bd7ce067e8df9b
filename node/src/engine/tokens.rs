//! Access tokens of people and programs: shown once, kept as a hash, their names sealed.

use aws_lc_rs::digest::{SHA256, digest};
use raccordo_crdt_model::UnixMillis;

use crate::clock::draw;
use crate::store::Table;

use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::draft::Draft;
use super::fields::{FieldReader, FieldWriter};
use super::task::Done;
use super::view::{CommandFailed, TokenView};

const VERSION: u8 = 1;
/// Longest name of a token, in characters.
const NAME_CHARS_MAX: usize = 64;

/// What can be done about tokens.
#[derive(Debug)]
pub(crate) enum TokenCommand {
    Create { name: String, hash: [u8; 32] },
    Revoke { name: String },
}

pub(crate) fn execute(draft: &mut Draft<'_>, command: TokenCommand) -> Result<Done, CommandFailed> {
    match command {
        TokenCommand::Create { name, hash } => create(draft, &name, &hash),
        TokenCommand::Revoke { name } => revoke(draft, &name),
    }
}

/// The hash under which a token is kept.
pub(crate) fn hash_of(token: &str) -> [u8; 32] {
    digest(&SHA256, token.as_bytes())
        .as_ref()
        .try_into()
        .expect("SHA-256 gives 32 bytes")
}

/// The name of a token, if it is valid.
pub(crate) fn name_of(core: &Core, token: &str) -> Result<Option<String>, ReadFailed> {
    let hash = hash_of(token);
    let row = core.store.get(Table::Tokens, &hash)?;
    row.map(|row| open(core, &hash, &row).map(|view| view.name))
        .transpose()
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

fn create(draft: &mut Draft<'_>, name: &str, hash: &[u8; 32]) -> Result<Done, CommandFailed> {
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
    let plain = FieldWriter::new(VERSION)
        .text(name)
        .i64(draft.now_ms)
        .finish();
    let nonce = draw(&*draft.core.entropy);
    let sealed = draft
        .core
        .node_seal
        .seal(Table::Tokens, NODE_DOCUMENT, hash, &plain, nonce);
    draft.batch.put(Table::Tokens, *hash, sealed);
    draft.audit("administrator", "create-token", "", name);
    Ok(Done::Nothing)
}

fn revoke(draft: &mut Draft<'_>, name: &str) -> Result<Done, CommandFailed> {
    let rows = rows(draft.core)?;
    let found = rows.iter().find(|(_, view)| view.name == name);
    let (hash, _) = found.ok_or_else(|| CommandFailed::NotFound {
        kind: "token",
        id: name.to_owned(),
    })?;
    draft.batch.delete(Table::Tokens, *hash);
    draft.audit("administrator", "revoke-token", "", name);
    Ok(Done::Nothing)
}

fn open(core: &Core, hash: &[u8; 32], row: &[u8]) -> Result<TokenView, ReadFailed> {
    let plain = core
        .node_seal
        .open(Table::Tokens, NODE_DOCUMENT, hash, row)?;
    let mut fields = FieldReader::open("token", VERSION, &plain)?;
    Ok(TokenView {
        name: fields.text()?,
        created_at: UnixMillis(fields.i64()?),
    })
}
