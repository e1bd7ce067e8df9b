//! What travels with a project: its content, and who it is about, sealed to the receiver's nodes.
//!
//! Packed as compressed JSON, encrypted once, the key wrapped for each node; opened there alone and
//! made into records anew, with ids of their own. Does not decide who may offer or accept.

use std::collections::BTreeMap;

use data_encoding::{BASE64_NOPAD, HEXLOWER};
use raccordo_crdt_model::field_rules::transfer as rules;
use raccordo_crdt_model::schema::Node;
use raccordo_crdt_model::{Change, Document, DocumentId, Kind, Patch, Rejected, Stamp};
use raccordo_transport::sealing;
use serde_json::{Map, Value, json};

use super::super::core::Core;
use super::super::view::CommandFailed;
use super::refused;
use super::terms::{Origin, Terms};
use crate::clock::draw;

/// Most bytes of packed content: what fits a few megabytes of sealed text.
const PACKED_BYTES_MAX: usize = 4 << 20;
/// Most bytes that packed content may unfold to, and most values in it: it is unfolded whenever the
/// receiver looks at the offer.
const CONTENT_BYTES_MAX: usize = 8 << 20;
const VALUES_MAX: usize = 200_000;
/// Characters of sealed text in one change.
const PIECE_CHARS: usize = 60_000;
/// From this size on, a record is made in several changes.
const WHOLE_BYTES_MAX: usize = 48 * 1024;
const CONTEXT: &[u8] = b"raccordo-transfer-1\0";

/// What the receiver gets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parcel {
    pub(super) note: Option<String>,
    /// The project's own fields.
    pub(super) project: Value,
    /// Records of the subject: their kinds, ids at the sender, fields.
    pub(super) records: Vec<(Kind, DocumentId, Value)>,
}

/// A parcel as it is written into a transfer.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) keys: Map<String, Value>,
    pub(super) pieces: Vec<String>,
}

impl Parcel {
    /// Seals it for these nodes; their sealing keys by origin.
    pub(super) fn seal(
        &self,
        core: &Core,
        transfer: DocumentId,
        nodes: &BTreeMap<Origin, [u8; 32]>,
    ) -> Result<Sealed, CommandFailed> {
        let content = self.content().to_string();
        if content.len() > CONTENT_BYTES_MAX || values_in(content.as_bytes()) > VALUES_MAX {
            let bytes = content.len();
            return Err(too_large(&format!(
                "{bytes} bytes unpacked, at most {CONTENT_BYTES_MAX} and {VALUES_MAX} values are carried"
            )));
        }
        Self::seal_text(core, transfer, nodes, &content)
    }

    /// Seals what stands in this text.
    pub(super) fn seal_text(
        core: &Core,
        transfer: DocumentId,
        nodes: &BTreeMap<Origin, [u8; 32]>,
        content: &str,
    ) -> Result<Sealed, CommandFailed> {
        let packed = zstd::encode_all(content.as_bytes(), 3);
        let packed = packed.map_err(|_| too_large("it cannot be packed"))?;
        if packed.len() > PACKED_BYTES_MAX {
            let bytes = packed.len();
            return Err(too_large(&format!(
                "{bytes} bytes, at most {PACKED_BYTES_MAX} are carried"
            )));
        }
        let key: [u8; 32] = draw(&*core.entropy);
        let text = BASE64_NOPAD.encode(&sealing::seal(&key, &packed, &context(transfer, None)));
        let mut keys = Map::new();
        for (node, public) in nodes {
            // A key that nothing can be sealed to is as good as none.
            if let Ok(wrapped) = sealing::wrap(&key, public, &context(transfer, Some(*node))) {
                let wrapped = json!({"key": BASE64_NOPAD.encode(&wrapped)});
                keys.insert(HEXLOWER.encode(node), wrapped);
            }
        }
        let pieces = text.as_bytes().chunks(PIECE_CHARS);
        let pieces = pieces.map(|piece| String::from_utf8_lossy(piece).into_owned());
        Ok(Sealed {
            keys,
            pieces: pieces.collect(),
        })
    }

    /// Opens what was sealed for this node; none if it was not, or is not whole yet.
    pub(super) fn open(
        core: &Core,
        transfer: DocumentId,
        terms: &Terms,
        fields: &Value,
    ) -> Option<Self> {
        let names: Vec<String> = (0..terms.pieces).map(piece_name).collect();
        let piece = |name: &String| fields.pointer(&format!("/sealed/{name}/text"));
        let pieces: Option<Vec<&str>> = names.iter().map(|name| piece(name)?.as_str()).collect();
        Self::read(&Self::opened(core, transfer, &fields["keys"], &pieces?)?)
    }

    /// What stands in text that was sealed for this node.
    pub(super) fn opened(
        core: &Core,
        transfer: DocumentId,
        keys: &Value,
        pieces: &[&str],
    ) -> Option<Value> {
        let own = core.id.origin();
        let wrapped = keys.pointer(&format!("/{}/key", HEXLOWER.encode(&own)))?;
        let wrapped = BASE64_NOPAD.decode(wrapped.as_str()?.as_bytes()).ok()?;
        let bound = context(transfer, Some(own));
        let key = core.sealing_key.unwrap(&wrapped, &bound).ok()?;
        let sealed = BASE64_NOPAD.decode(pieces.concat().as_bytes()).ok()?;
        let packed = sealing::open(&key, &sealed, &context(transfer, None)).ok()?;
        let content = zstd::bulk::decompress(&packed, CONTENT_BYTES_MAX).ok()?;
        if values_in(&content) > VALUES_MAX {
            return None;
        }
        serde_json::from_slice(&content).ok()
    }

    fn content(&self) -> Value {
        let records = self.records.iter();
        let records: Vec<Value> = records
            .map(|(kind, id, fields)| {
                json!({"kind": kind.singular(), "id": id.to_string(), "fields": fields})
            })
            .collect();
        json!({"version": 1, "note": self.note, "project": self.project, "records": records})
    }

    fn read(content: &Value) -> Option<Self> {
        let record = |record: &Value| {
            let kind = Kind::from_singular(record.get("kind")?.as_str()?)?;
            let id = DocumentId::parse(record.get("id")?.as_str()?).ok()?;
            let may = matches!(kind, Kind::Person | Kind::Household | Kind::Casefile);
            let fields = record.get("fields").filter(|fields| fields.is_object())?;
            may.then(|| (kind, id, fields.clone()))
        };
        let version = content.get("version")?.as_u64()?;
        let records = content.get("records")?.as_array()?;
        let project = content.get("project").filter(|project| project.is_object());
        Some(Self {
            note: content["note"].as_str().map(str::to_owned),
            project: project.filter(|_| version == 1)?.clone(),
            records: records.iter().map(record).collect::<Option<_>>()?,
        })
    }
}

/// How many values a JSON text has at least, without making any of them.
fn values_in(text: &[u8]) -> usize {
    let (mut count, mut quoted, mut escaped) = (1, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b',' | b'[' | b'{' if !quoted => count += 1,
            _ => {}
        }
    }
    count
}

/// The name of one piece of the sealed text.
pub(super) fn piece_name(number: usize) -> String {
    format!("p{number:03}")
}

/// What a person may see of a project before it is accepted: nothing that says who it is.
pub(super) fn preview(project: &Value, note: Option<&str>, today: &str) -> Value {
    let of = |pointer: &str| project.pointer(pointer).cloned().unwrap_or(Value::Null);
    let born = project
        .pointer("/subject/birth_year")
        .and_then(Value::as_i64);
    let year = today.get(..4).and_then(|year| year.parse::<i64>().ok());
    let age = born
        .zip(year)
        .and_then(|(born, year)| year.checked_sub(born));
    let class = age.map(|age| match age {
        ..18 => "0-17",
        18..30 => "18-29",
        30..45 => "30-44",
        45..65 => "45-64",
        _ => "65+",
    });
    json!({
        "subject": of("/subject/kind"), "age_class": class, "sex": of("/subject/sex"),
        "need_area": of("/need_area"), "sub_areas": of("/sub_areas"), "since": of("/opened_on"),
        "note": note,
    })
}

/// A record made of fields: in one change, or where those would not fit, in several.
pub(super) fn make(
    id: DocumentId,
    kind: Kind,
    territory: &str,
    fields: &Value,
    stamp: &Stamp,
) -> Result<(Document, Vec<Change>), Rejected> {
    let mut first = fields.clone();
    let mut later = Vec::new();
    if fields.to_string().len() > WHOLE_BYTES_MAX {
        later = take_entries(kind, &mut first);
    }
    let (mut document, change) = Document::create(id, kind, territory, &first, stamp)?;
    let mut changes = vec![change];
    let mut waiting: Vec<Value> = Vec::new();
    let mut size = 0;
    let last = later.len().saturating_sub(1);
    for (index, (path, value)) in later.into_iter().enumerate() {
        size += value.to_string().len();
        waiting.push(json!({"op": "add", "path": path, "value": value}));
        if size > WHOLE_BYTES_MAX || waiting.len() >= 500 || index == last {
            let patch = Patch::parse(&Value::Array(std::mem::take(&mut waiting)));
            let patch = patch.map_err(Rejected::Invalid)?;
            changes.extend(document.patch(&patch, None, stamp)?);
            size = 0;
        }
    }
    Ok((document, changes))
}

/// Takes the sub-entities of the root's containers out, each with its path.
fn take_entries(kind: Kind, fields: &mut Value) -> Vec<(String, Value)> {
    let mut taken = Vec::new();
    let keyed = kind.fields().iter();
    for field in keyed.filter(|field| matches!(field.node, Node::Keyed(_))) {
        let entries = fields.get_mut(field.name).and_then(Value::as_object_mut);
        for (key, value) in entries.map(std::mem::take).into_iter().flatten() {
            let key = key.replace('~', "~0").replace('/', "~1");
            taken.push((format!("/{}/{key}", field.name), value));
        }
    }
    taken
}

/// Records by their kind and a name that they had at the sender, with their ids here.
pub(super) type Names = BTreeMap<(Kind, String), DocumentId>;

/// Lets a record name the records beside it by their ids here. What names none of them is left out:
/// here the same words may be somebody else. False if that leaves a casefile without a subject.
pub(super) fn rename(kind: Kind, fields: &mut Value, names: &Names) -> bool {
    let id = |kinds: &[Kind], named: &Value| {
        let name = named.as_str()?;
        let mut found = kinds
            .iter()
            .filter_map(|kind| names.get(&(*kind, name.to_owned())));
        found.next().map(|id| Value::from(id.to_string()))
    };
    match kind {
        Kind::Person => {
            leaf(fields, "household", |name| id(&[Kind::Household], name));
            leaf(fields, "merged_into", |name| id(&[Kind::Person], name));
            true
        }
        Kind::Household => {
            let person = |member: &Value| id(&[Kind::Person], member);
            each(fields, "members", "person", person);
            true
        }
        Kind::Casefile => {
            let project = |link: &Value| id(&[Kind::Project], link);
            each(fields, "projects", "project", project);
            let subjects = [Kind::Person, Kind::Household];
            leaf(fields, "subject", |name| id(&subjects, name));
            fields.get("subject").is_some_and(Value::is_string)
        }
        _ => true,
    }
}

fn leaf(fields: &mut Value, name: &str, renamed: impl Fn(&Value) -> Option<Value>) {
    let Some(fields) = fields.as_object_mut() else {
        return;
    };
    if let Some(named) = fields.remove(name)
        && let Some(id) = renamed(&named)
    {
        fields.insert(name.to_owned(), id);
    }
}

/// As [`leaf`], in the entries of a container; an entry that names what is not there goes whole.
fn each(
    fields: &mut Value,
    container: &str,
    name: &str,
    renamed: impl Fn(&Value) -> Option<Value>,
) {
    let entries = fields.get_mut(container).and_then(Value::as_object_mut);
    let Some(entries) = entries else { return };
    entries.retain(|_, entry| {
        let Some(named) = entry.get_mut(name).filter(|named| !named.is_null()) else {
            return true;
        };
        let id = renamed(named);
        let stays = id.is_some();
        *named = id.unwrap_or_default();
        stays
    });
}

fn context(transfer: DocumentId, node: Option<Origin>) -> Vec<u8> {
    let node = node.unwrap_or_default();
    [CONTEXT, transfer.as_bytes().as_slice(), &node].concat()
}

pub(super) fn too_large(what: &str) -> CommandFailed {
    let detail = format!("the project and its records are too much for one transfer: {what}");
    refused("/project", rules::TOO_LARGE, detail)
}
