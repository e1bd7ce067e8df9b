//! The engine's calls about people and programs: accounts, tokens, emergencies, the audit log.
//!
//! Passwords are hashed here, off the writer's thread and a few at a time; the writer sees
//! hashes alone.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use raccordo_crdt_model::{DocumentId, Kind, UnixMillis};
use zeroize::Zeroizing;

use super::accounts::{self, AccountCommand, AccountId};
use super::emergency::{EmergencyView, MINUTES_MAX, REASON_CHARS_MAX, REASON_CHARS_MIN};
use super::observed::Observed;
use super::task::{Command, Signal};
use super::tokens::{self, TokenCommand};
use super::view::{AccountView, AuditVerdict, AuditView, CommandFailed, Event, TokenView};
use super::{Engine, audit, commit, passwords};
use crate::access::{Grant, Principal, Scope};
use crate::clock::draw;

/// What proved who somebody is; worth asking again at each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// The hash of a token.
    Token([u8; 32]),
    /// An account as it was when its password was typed.
    Account {
        /// Which.
        id: [u8; 16],
        /// Moves with the password, and when the account is disabled.
        generation: u32,
    },
}

impl Engine {
    /// Makes an access token with every right of the office and returns it, once; `by` is who asks.
    pub async fn create_token(&self, name: &str, by: &str) -> Result<String, CommandFailed> {
        let office = Principal::office(name);
        self.create_token_for(name, office.grants, Vec::new(), by)
            .await
    }

    /// Makes an access token for some roles and scopes (none: all that the roles may) and returns it, once.
    pub async fn create_token_for(
        &self,
        name: &str,
        grants: Vec<Grant>,
        scopes: Vec<Scope>,
        by: &str,
    ) -> Result<String, CommandFailed> {
        let secret: [u8; 32] = draw(&*self.core.entropy);
        let token = format!("rct_{}", HEXLOWER.encode(&secret));
        let hash = tokens::hash_of(&token);
        let command = TokenCommand::Create {
            name: name.to_owned(),
            hash,
            grants,
            scopes,
        };
        self.hand
            .submit(Command::Token(command, by.to_owned()))
            .await?;
        Ok(token)
    }

    /// All access tokens, by name, without their secrets.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, CommandFailed> {
        self.read(|core| Ok(tokens::all(core)?)).await
    }

    /// Ends an access token.
    pub async fn revoke_token(&self, name: &str, by: &str) -> Result<(), CommandFailed> {
        let command = TokenCommand::Revoke {
            name: name.to_owned(),
        };
        self.hand
            .submit(Command::Token(command, by.to_owned()))
            .await?;
        self.core.access.moved();
        Ok(())
    }

    /// What a token proves, if it is valid.
    pub async fn check_token(&self, token: &str) -> Option<(Credential, Principal)> {
        let credential = Credential::Token(tokens::hash_of(token));
        let principal = self.standing(&credential).await?;
        Some((credential, principal))
    }

    /// What a name and a password prove; takes as long for a name that nobody has.
    pub async fn check_password(
        &self,
        name: &str,
        password: Zeroizing<String>,
    ) -> Option<(Credential, Principal)> {
        let _turn = self.core.access.hashing.acquire().await.ok()?;
        let name = name.to_owned();
        let found = self.read(move |core| {
            let account = accounts::by_name(core, &name)?;
            let usable = account.filter(|account| account.disabled_ms.is_none());
            Ok(match usable {
                Some(account) if passwords::fits(&password, &account.hash) => Ok(account),
                Some(account) => Err(Some(account.name)),
                None => {
                    passwords::fits_nobody(&password);
                    Err(None)
                }
            })
        });
        let account = match found.await.ok()? {
            Ok(account) => account,
            Err(refused) => {
                // Never what was typed: people type passwords where names belong.
                if let Some(name) = refused {
                    self.observe(&name, "sign-in-refused", "", "");
                }
                return None;
            }
        };
        self.observe(&account.name, "sign-in", "", "");
        let credential = Credential::Account {
            id: account.id,
            generation: account.generation,
        };
        Some((credential, principal_of(account.name, account.grants)))
    }

    /// Who holds a credential now; none if it lets nobody in any more.
    pub async fn standing(&self, credential: &Credential) -> Option<Principal> {
        let credential = credential.clone();
        let look = self.read(move |core| Ok(look_up(core, &credential)?));
        look.await.ok().flatten()
    }

    /// [`Engine::standing`] for callers that cannot wait: a look at one row of the disk.
    pub(crate) fn standing_now(&self, credential: &Credential) -> Option<Principal> {
        look_up(&self.core, credential).ok().flatten()
    }

    /// Moves whenever somebody's rights may have changed.
    pub(crate) fn rights_epoch(&self) -> u64 {
        self.core.access.epoch()
    }

    /// Makes an account.
    pub async fn add_account(
        &self,
        name: &str,
        grants: Vec<Grant>,
        password: Zeroizing<String>,
        by: &Principal,
    ) -> Result<(), CommandFailed> {
        let command = AccountCommand::Add {
            name: name.to_owned(),
            grants,
            hash: self.hashed(password).await?,
            by: by.name.clone(),
        };
        self.account(command).await
    }

    /// Gives an account another password, and lets it in again if it was disabled.
    pub async fn set_password(
        &self,
        name: &str,
        password: Zeroizing<String>,
        by: &Principal,
    ) -> Result<(), CommandFailed> {
        let command = AccountCommand::Passwd {
            name: name.to_owned(),
            hash: self.hashed(password).await?,
            by: by.name.clone(),
        };
        self.account(command).await
    }

    /// Lets an account in no more; its sessions end.
    pub async fn disable_account(&self, name: &str, by: &Principal) -> Result<(), CommandFailed> {
        let command = AccountCommand::Disable {
            name: name.to_owned(),
            by: by.name.clone(),
        };
        self.account(command).await
    }

    /// All accounts, by name.
    pub async fn accounts(&self) -> Result<Vec<AccountView>, CommandFailed> {
        let all = self.read(|core| Ok(accounts::all(core)?)).await?;
        Ok(all.into_iter().map(accounts::Account::view).collect())
    }

    /// A password that nobody has thought of: 20 letters and digits that are not mistaken for each other.
    pub fn new_password(&self) -> Zeroizing<String> {
        const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
        let drawn: Zeroizing<[u8; 20]> = Zeroizing::new(draw(&*self.core.entropy));
        let letters = drawn
            .iter()
            .map(|byte| char::from(LETTERS[usize::from(byte % 32)]));
        Zeroizing::new(letters.collect())
    }

    /// Notes for the audit log what somebody read or was kept from; written within a second.
    pub(crate) fn observe(&self, who: &str, action: &'static str, what: &str, detail: &str) {
        let observed = self.observed(who, action, what, detail);
        self.hand.signal(Signal::Observed(observed));
    }

    /// Opens an emergency for somebody; in the audit log when it returns.
    pub(crate) async fn open_emergency(
        &self,
        kind: Kind,
        record: DocumentId,
        reason: &str,
        minutes: u64,
        by: &Principal,
    ) -> Result<EmergencyView, CommandFailed> {
        let reason = reason.trim();
        let length = reason.chars().count();
        if !(REASON_CHARS_MIN..=REASON_CHARS_MAX).contains(&length) {
            let detail = format!(
                "the reason has {length} characters: {REASON_CHARS_MIN} to {REASON_CHARS_MAX} are allowed"
            );
            return Err(CommandFailed::Malformed { detail });
        }
        if !(1..=MINUTES_MAX).contains(&minutes) {
            let detail = format!("minutes is {minutes}: 1 to {MINUTES_MAX} are allowed");
            return Err(CommandFailed::Malformed { detail });
        }
        let detail = format!("{minutes} minutes: {reason}");
        let observed = self.observed(&by.name, "emergency", &record.to_string(), &detail);
        let at_ms = observed.at_ms;
        self.hand.submit(Command::Audit(observed)).await?;
        let long_ms = minutes * 60_000;
        let view = EmergencyView {
            id: HEXLOWER.encode(&draw::<8>(&*self.core.entropy)),
            record,
            kind: kind.singular(),
            by: by.name.clone(),
            reason: reason.to_owned(),
            at: UnixMillis(at_ms),
            until: UnixMillis(at_ms.saturating_add_unsigned(long_ms)),
            open: true,
        };
        let until_ms = self.core.clock.monotonic_millis() + long_ms;
        self.core.access.open(view.clone(), until_ms);
        let event = Event::Emergency {
            id: view.id.clone(),
            record,
            by: view.by.clone(),
            until: view.until,
        };
        commit::announce(&self.core, event);
        Ok(view)
    }

    /// Whether an emergency lets somebody read a record now.
    pub(crate) fn emergency_lets_in(&self, by: &Principal, record: DocumentId) -> bool {
        let now_ms = self.core.clock.monotonic_millis();
        self.core.access.lets_in(&by.name, record, now_ms)
    }

    /// Whether somebody has an emergency open, for whatever record.
    pub(crate) fn in_emergency(&self, by: &Principal) -> bool {
        let all = self.emergencies();
        all.iter().any(|one| one.open && one.by == by.name)
    }

    /// This node's own territory, as a path.
    pub(crate) fn home(&self) -> String {
        self.core.territory()
    }

    /// Emergencies since the start, newest first.
    pub(crate) fn emergencies(&self) -> Vec<EmergencyView> {
        self.core.access.all(self.core.clock.monotonic_millis())
    }

    /// Events of the audit log, newest first, below a number if one is given; of one record, if one is named.
    pub async fn audit(
        &self,
        record: Option<String>,
        below: Option<u64>,
        limit: usize,
    ) -> Result<Vec<AuditView>, CommandFailed> {
        let look = move |core: &_| Ok(audit::newest(core, record.as_deref(), below, limit)?);
        self.read(look).await
    }

    /// Reads the whole audit log and follows its chain.
    pub async fn audit_verify(&self) -> Result<AuditVerdict, CommandFailed> {
        self.read(|core| Ok(audit::verify(core)?)).await
    }

    /// The record that an id, a prefix of it or an office's own number names, whatever its kind.
    pub(crate) async fn resolve_any(
        &self,
        name: &str,
    ) -> Result<(Kind, DocumentId), CommandFailed> {
        let mut missing = None;
        for kind in Kind::all() {
            match self.resolve(kind, name, None).await {
                Ok(id) if self.record(kind, id).await.is_ok() => return Ok((kind, id)),
                Ok(_) => {}
                Err(failed @ CommandFailed::NotFound { .. }) => missing = Some(failed),
                Err(failed) => return Err(failed),
            }
        }
        Err(missing.unwrap_or(CommandFailed::NotFound {
            kind: "record",
            id: name.to_owned(),
        }))
    }

    fn observed(&self, who: &str, action: &'static str, what: &str, detail: &str) -> Observed {
        Observed {
            who: who.to_owned(),
            action,
            what: what.to_owned(),
            detail: detail.to_owned(),
            at_ms: self.core.clock.unix_millis(),
        }
    }

    async fn account(&self, command: AccountCommand) -> Result<(), CommandFailed> {
        self.hand.submit(Command::Account(command)).await?;
        self.core.access.moved();
        Ok(())
    }

    async fn hashed(&self, password: Zeroizing<String>) -> Result<String, CommandFailed> {
        if let Some(detail) = passwords::refused(&password) {
            return Err(CommandFailed::Malformed { detail });
        }
        let core = Arc::clone(&self.core);
        let _turn = self
            .core
            .access
            .hashing
            .acquire()
            .await
            .map_err(|_| CommandFailed::Stopping)?;
        let hashing =
            tokio::task::spawn_blocking(move || passwords::hash(&password, draw(&*core.entropy)));
        hashing.await.map_err(|_| CommandFailed::Stopping)
    }
}

fn look_up(
    core: &super::core::Core,
    credential: &Credential,
) -> Result<Option<Principal>, super::ReadFailed> {
    match credential {
        Credential::Token(hash) => {
            let token = tokens::by_hash(core, hash)?;
            Ok(token.map(|token| Principal {
                name: token.name,
                grants: token.grants,
                scopes: token.scopes,
            }))
        }
        Credential::Account { id, generation } => {
            let id: AccountId = *id;
            let account = accounts::by_id(core, id)?;
            let same = account.filter(|account| {
                account.generation == *generation && account.disabled_ms.is_none()
            });
            Ok(same.map(|account| principal_of(account.name, account.grants)))
        }
    }
}

fn principal_of(name: String, grants: Vec<Grant>) -> Principal {
    Principal {
        name,
        grants,
        scopes: Vec::new(),
    }
}
