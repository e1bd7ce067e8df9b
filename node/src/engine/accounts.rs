//! People who may use this node: names, roles, and passwords as hashes; rows sealed.
//!
//! A row is found by opening all of them: an office has tens. A new password and an end are a new
//! generation, and with it every session opened before is over.

use raccordo_crdt_model::{UnixMillis, fiscal_code};

use crate::access::{Grant, Role};
use crate::clock::draw;
use crate::store::Table;

use super::core::{Core, NODE_DOCUMENT, ReadFailed};
use super::draft::Draft;
use super::fields::{BadRow, FieldReader, FieldWriter};
use super::task::Done;
use super::tokens;
use super::view::{AccountView, CommandFailed};

const VERSION: u8 = 1;
/// Where accounts stand among the node's facts.
const PREFIX: &[u8] = b"account/";
/// Longest name of an account, in characters.
const NAME_CHARS_MAX: usize = 64;
const ACCOUNTS_MAX: usize = 10_000;
/// Roles of one account or token.
const GRANTS_MAX: usize = 8;

/// Names an account on this node, for good.
pub(crate) type AccountId = [u8; 16];

/// What can be done about accounts; passwords come as hashes.
#[derive(Debug)]
pub(crate) enum AccountCommand {
    Add {
        name: String,
        grants: Vec<Grant>,
        hash: String,
        by: String,
    },
    Passwd {
        name: String,
        hash: String,
        by: String,
    },
    Disable {
        name: String,
        by: String,
    },
}

/// One account as stored.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) id: AccountId,
    pub(crate) name: String,
    pub(crate) created_ms: i64,
    pub(crate) disabled_ms: Option<i64>,
    pub(crate) generation: u32,
    pub(crate) hash: String,
    pub(crate) grants: Vec<Grant>,
}

pub(crate) fn execute(
    draft: &mut Draft<'_>,
    command: AccountCommand,
) -> Result<Done, CommandFailed> {
    // What another command of the same commit writes is not on the disk yet.
    let pending =
        |(table, key, _): (Table, &[u8], _)| table == Table::Meta && key.starts_with(PREFIX);
    if draft.batch.iter().any(pending) {
        let detail = "another account is being written at this moment: repeat it".to_owned();
        return Err(CommandFailed::Malformed { detail });
    }
    match command {
        AccountCommand::Add {
            name,
            grants,
            hash,
            by,
        } => add(draft, &name, grants, hash, &by),
        AccountCommand::Passwd { name, hash, by } => {
            let mut account = named(draft, &name)?;
            account.hash = hash;
            account.generation += 1;
            // A new password is also how somebody comes back.
            account.disabled_ms = None;
            keep(draft, &account);
            draft.audit(&by, "passwd", "", &account.name);
            Ok(Done::Nothing)
        }
        AccountCommand::Disable { name, by } => {
            let mut account = named(draft, &name)?;
            account.generation += 1;
            account.disabled_ms = account.disabled_ms.or(Some(draft.now_ms));
            keep(draft, &account);
            draft.audit(&by, "disable-user", "", &account.name);
            Ok(Done::Nothing)
        }
    }
}

/// All accounts, by name.
pub(crate) fn all(core: &Core) -> Result<Vec<Account>, ReadFailed> {
    let rows = core.store.scan(Table::Meta, PREFIX, None, ACCOUNTS_MAX)?;
    let mut accounts = rows
        .iter()
        .map(|(key, row)| open(core, key, row))
        .collect::<Result<Vec<_>, _>>()?;
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(accounts)
}

/// The account with a name, whatever its case.
pub(crate) fn by_name(core: &Core, name: &str) -> Result<Option<Account>, ReadFailed> {
    let wanted = fold(name);
    let accounts = all(core)?;
    Ok(accounts.into_iter().find(|one| fold(&one.name) == wanted))
}

/// One account.
pub(crate) fn by_id(core: &Core, id: AccountId) -> Result<Option<Account>, ReadFailed> {
    let key = key_of(id);
    let row = core.store.get(Table::Meta, &key)?;
    row.map(|row| open(core, &key, &row)).transpose()
}

impl Account {
    /// What people may know of it.
    pub(crate) fn view(self) -> AccountView {
        AccountView {
            name: self.name,
            grants: self.grants,
            created_at: UnixMillis(self.created_ms),
            disabled_at: self.disabled_ms.map(UnixMillis),
        }
    }
}

/// Checks the roles of an account or a token: known together, each with the body that it needs.
pub(crate) fn check_grants(grants: &[Grant]) -> Result<(), CommandFailed> {
    let refused = |detail: String| Err(CommandFailed::Malformed { detail });
    if grants.is_empty() || grants.len() > GRANTS_MAX {
        return refused(format!("somebody has 1 to {GRANTS_MAX} roles"));
    }
    for grant in grants {
        match (&grant.role, grant.body.as_deref()) {
            (Role::Referent, None) => {
                return refused(
                    "a referent stands for a body: say which, such as DSM, D3D, DISS, CPI or SSD"
                        .to_owned(),
                );
            }
            (_, Some(body))
                if body.is_empty()
                    || body.len() > 16
                    || !body
                        .bytes()
                        .all(|one| one.is_ascii_uppercase() || one.is_ascii_digit()) =>
            {
                return refused(format!(
                    "the body is {body:?}: a code of capital letters and digits is allowed, such as DSM"
                ));
            }
            _ => {}
        }
    }
    let holds = |role| grants.iter().any(|grant| grant.role == role);
    if holds(Role::DistrictManager) && (holds(Role::NodeAdmin) || holds(Role::FederationAdmin)) {
        return refused(
            "nobody both admits peers and answers for a district's data: give district_manager and the administrators' roles to different people".to_owned(),
        );
    }
    Ok(())
}

/// Writes roles into a row.
pub(crate) fn write_grants(out: &mut FieldWriter, grants: &[Grant]) {
    out.u8(u8::try_from(grants.len()).unwrap_or(u8::MAX));
    for grant in grants {
        out.text(grant.role.word())
            .maybe_text(grant.body.as_deref());
    }
}

/// Reads roles off a row; one that this version does not know gives no right and is left out.
pub(crate) fn read_grants(fields: &mut FieldReader<'_>) -> Result<Vec<Grant>, BadRow> {
    let count = fields.u8()?;
    let mut grants = Vec::new();
    for _ in 0..count {
        let word = fields.text()?;
        let body = fields.maybe_text()?;
        grants.extend(Role::from_word(&word).map(|role| Grant { role, body }));
    }
    Ok(grants)
}

/// Refuses a name with a fiscal code in it: it goes wherever its changes go.
pub(super) fn names_nobody(name: &str) -> Result<(), CommandFailed> {
    if fiscal_code::found_in(name).is_some() {
        let detail = "a name is shown as the author of changes, at the coordination too: choose one \
                      without a fiscal code";
        return Err(CommandFailed::Malformed {
            detail: detail.to_owned(),
        });
    }
    Ok(())
}

fn add(
    draft: &mut Draft<'_>,
    name: &str,
    grants: Vec<Grant>,
    hash: String,
    by: &str,
) -> Result<Done, CommandFailed> {
    let name = name.trim();
    let malformed = |detail: String| Err(CommandFailed::Malformed { detail });
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return malformed(format!(
            "an account's name has 1 to {NAME_CHARS_MAX} printable characters"
        ));
    }
    names_nobody(name)?;
    check_grants(&grants)?;
    let taken = all(draft.core)?
        .iter()
        .any(|one| fold(&one.name) == fold(name));
    let program = tokens::all(draft.core)?;
    if taken || program.iter().any(|token| fold(&token.name) == fold(name)) {
        return malformed(format!(
            "there is an account or a token named {name} already: names are shown as authors and must differ"
        ));
    }
    let account = Account {
        id: draw(&*draft.core.entropy),
        name: name.to_owned(),
        created_ms: draft.now_ms,
        disabled_ms: None,
        generation: 0,
        hash,
        grants,
    };
    keep(draft, &account);
    let roles: Vec<&str> = account
        .grants
        .iter()
        .map(|grant| grant.role.word())
        .collect();
    draft.audit(by, "add-user", "", &format!("{name}: {}", roles.join(", ")));
    Ok(Done::Nothing)
}

fn named(draft: &Draft<'_>, name: &str) -> Result<Account, CommandFailed> {
    by_name(draft.core, name)?.ok_or_else(|| CommandFailed::NotFound {
        kind: "account",
        id: name.to_owned(),
    })
}

fn keep(draft: &mut Draft<'_>, account: &Account) {
    let mut out = FieldWriter::new(VERSION);
    out.text(&account.name).i64(account.created_ms);
    out.i64(account.disabled_ms.unwrap_or(i64::MIN));
    out.u32(account.generation).text(&account.hash);
    write_grants(&mut out, &account.grants);
    let plain = out.finish();
    let nonce = draw(&*draft.core.entropy);
    let sealed = draft.core.node_seal.seal(
        Table::Meta,
        NODE_DOCUMENT,
        &context(account.id),
        &plain,
        nonce,
    );
    draft.batch.put(Table::Meta, key_of(account.id), sealed);
}

fn open(core: &Core, key: &[u8], row: &[u8]) -> Result<Account, ReadFailed> {
    let bad = BadRow {
        row: "account",
        at: 0,
    };
    let id: AccountId = key
        .strip_prefix(PREFIX)
        .and_then(|id| id.try_into().ok())
        .ok_or(bad)?;
    let plain = core
        .node_seal
        .open(Table::Meta, NODE_DOCUMENT, &context(id), row)?;
    let mut fields = FieldReader::open("account", VERSION, &plain)?;
    let (name, created_ms, disabled_ms) = (fields.text()?, fields.i64()?, fields.i64()?);
    Ok(Account {
        id,
        name,
        created_ms,
        disabled_ms: Some(disabled_ms).filter(|at| *at != i64::MIN),
        generation: fields.u32()?,
        hash: fields.text()?,
        grants: read_grants(&mut fields)?,
    })
}

fn key_of(id: AccountId) -> Vec<u8> {
    [PREFIX, id.as_slice()].concat()
}

/// Binds a sealed row to its account.
fn context(id: AccountId) -> [u8; 32] {
    let mut context = [0; 32];
    context[..16].copy_from_slice(&id);
    context
}

fn fold(name: &str) -> String {
    name.trim().to_lowercase()
}
