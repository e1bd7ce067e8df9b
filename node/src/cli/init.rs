//! `init`: a new node, bound to its territory.

use std::path::Path;

use anyhow::anyhow;
use raccordo_config::InitialSettings;
use serde_json::json;

use super::api::chain;
use super::{InitArguments, print};
use crate::engine;

/// Founds a node in a folder that holds none and prints its id.
pub(super) fn init(data: &Path, arguments: InitArguments) -> anyhow::Result<()> {
    let json = arguments.format.json;
    let id = found(data, &settings(arguments))?;
    if json {
        print::json(&json!({"id": id, "data": data}))
    } else {
        print::line(&id)
    }
}

/// Founds a node and returns its id.
pub(super) fn found(data: &Path, settings: &InitialSettings) -> anyhow::Result<String> {
    engine::init(data, settings)
        .map(|id| id.to_string())
        .map_err(|failed| anyhow!("{}", chain(&failed)))
}

fn settings(arguments: InitArguments) -> InitialSettings {
    InitialSettings {
        territory: arguments.territory,
        role: arguments.role,
        name: arguments.name,
        listen: arguments.listen,
        http: arguments.http,
        advertise: arguments.advertise,
        engine: arguments.store,
    }
}
