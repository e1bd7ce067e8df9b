//! People, as an office asks for them: doubles, merging, all that was offered to one.

use raccordo_crdt_model::{DocumentId, Kind, Patch};
use serde_json::{Value, json};

use super::view::{CommandFailed, OverlapView, Principal, RecordView};
use super::{Engine, overlaps, persons, protection};

impl Engine {
    /// Lets another record stand for this one; patching `state` back undoes it.
    pub async fn merge(
        &self,
        id: DocumentId,
        into: DocumentId,
        by: &Principal,
    ) -> Result<RecordView, CommandFailed> {
        self.record(Kind::Person, into).await?;
        let stands = self
            .read(move |core| persons::standing_for(core, into))
            .await?;
        let Some(stands) = stands.filter(|stands| *stands != id) else {
            return Err(CommandFailed::Conflict {
                code: "merge_in_a_circle",
                detail: format!("{into} is merged into {id}, or leads nowhere: undo that first"),
            });
        };
        let patch = json!([
            {"op": "add", "path": "/merged_into", "value": stands.to_string()},
            {"op": "add", "path": "/state", "value": persons::MERGED},
        ]);
        let patch = Patch::parse(&patch).expect("two fields of a person");
        self.patch(Kind::Person, id, patch, None, by).await
    }

    /// Whether the person or household that an id or reference names is specially protected.
    pub(crate) async fn is_protected(&self, name: &str) -> Result<bool, CommandFailed> {
        let name = name.to_owned();
        self.read(move |core| protection::named(core, &name)).await
    }

    /// The same subject in several territories, as far as this node holds the projects of both.
    pub async fn overlaps(&self) -> Result<Vec<OverlapView>, CommandFailed> {
        self.read(|core| Ok(overlaps::all(core)?)).await
    }

    /// All that one person was offered, together: contacts, services, projects, referrals.
    pub async fn offered(&self, id: DocumentId) -> Result<Value, CommandFailed> {
        self.record(Kind::Person, id).await?;
        self.read(move |core| persons::offered(core, id)).await
    }
}
