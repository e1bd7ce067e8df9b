//! The certificate of an erasure as text, in Italian and English: what was erased here, who has
//! answered, and what neither says. Decides nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use raccordo_crdt_model::{DocumentId, UnixMillis};

use super::core::Core;
use super::view::ErasureView;

/// How far an erasure has come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// Every node that held something has.
    pub(super) answered: bool,
    /// This node has destroyed the key that wrapped the keys.
    pub(super) keys_replaced: bool,
    pub(super) complete: bool,
}

/// What the text is made of.
struct Text(String);

impl Text {
    fn line(&mut self, text: &str) {
        writeln!(self.0, "{text}").expect("a string takes any text");
    }
}

/// The certificate of these records; `sealed` are transfers that still hold a copy, with whom they
/// are from.
pub(super) fn written(
    core: &Core,
    order: Option<DocumentId>,
    records: &[ErasureView],
    sealed: &[(DocumentId, String)],
    standing: Standing,
) -> String {
    let mut text = Text(String::new());
    head(&mut text, core, order, records);
    text.line(own_key(standing));
    text.line("");
    receipts(&mut text, records);
    for (transfer, from) in sealed {
        text.line(&format!(
            "Il trasferimento {transfer}, con cui erano arrivate da {from}, ne contiene ancora una copia cifrata che questo\n\
             territorio può aprire: è chiesto a {from} di cancellarlo.\n\
             Transfer {transfer}, by which they came from {from}, still holds a sealed copy that this territory can open:\n\
             {from} is asked to erase it."
        ));
    }
    text.line("");
    text.line(end(standing));
    text.0
}

fn head(text: &mut Text, core: &Core, order: Option<DocumentId>, records: &[ErasureView]) {
    let now = UnixMillis(core.clock.unix_millis());
    let config = core.config();
    text.line("CERTIFICATO DI CANCELLAZIONE / CERTIFICATE OF ERASURE");
    text.line("");
    text.line(&format!("territorio / territory: {}", core.territory()));
    text.line(&format!("nodo / node: {} ({})", config.node.name, core.id));
    if let Some(order) = order {
        text.line(&format!("ordine / order: {order}"));
    }
    text.line(&format!("rilasciato / issued: {now}"));
    let reasons = records.iter().filter_map(|one| one.reason.as_ref());
    for reason in reasons.collect::<BTreeSet<_>>() {
        text.line(&format!("motivo / reason: {reason}"));
    }
    text.line("");
    text.line("Schede cancellate: contenuto e chiave distrutti in questo nodo.");
    text.line("Records erased: content and key destroyed at this node.");
    for record in records {
        text.line(&format!("  {} {}  {}", record.id, record.kind, record.at));
    }
}

fn own_key(standing: Standing) -> &'static str {
    if standing.keys_replaced {
        return "Anche la chiave che proteggeva le chiavi è stata sostituita: le copie precedenti dell’archivio non si aprono.\n\
                The key that wrapped the keys was replaced too: earlier copies of the store do not open.";
    }
    "La chiave che proteggeva le chiavi non è ancora sostituita: avviene entro pochi secondi se il nodo è acceso, \
     al più tardi entro un giorno, altrimenti al prossimo avvio. Fino ad allora una copia precedente dell’archivio \
     si apre ancora con quella chiave.\n\
     The key that wrapped the keys is not replaced yet: that is done within seconds while the node runs, at the \
     latest within a day, else when it next starts. Until then an earlier copy of the store still opens with that key."
}

fn receipts(text: &mut Text, records: &[ErasureView]) {
    text.line("Ricevute dei nodi che le avevano / Receipts of the nodes that held them:");
    let mut any = false;
    for record in records {
        for receipt in &record.receipts {
            any = true;
            let at = receipt
                .at
                .map_or_else(|| "-".to_owned(), |at| at.to_string());
            text.line(&format!(
                "  {} {}  {} ({}) {}",
                record.id,
                receipt.state.word(),
                receipt.name,
                receipt.territory,
                at
            ));
        }
    }
    text.line(if any {
        "La ricevuta dice che contenuto e chiave sono distrutti in quel nodo. La chiave che lì proteggeva le chiavi viene \
         sostituita dopo: entro pochi secondi se il nodo è acceso, al più tardi entro un giorno, altrimenti al suo prossimo \
         avvio; fino ad allora una copia precedente del suo archivio si apre ancora con quella chiave.\n\
         A receipt says that content and key are destroyed at that node. The key that wrapped the keys there is replaced \
         afterwards: within seconds while that node runs, at the latest within a day, else when it next starts; until then \
         an earlier copy of its store still opens with that key."
    } else {
        "  nessun altro nodo le aveva / no other node held them"
    });
}

fn end(standing: Standing) -> &'static str {
    if standing.complete {
        "COMPLETO: tutti i nodi hanno risposto e la chiave di questo nodo è sostituita. / COMPLETE: every node has \
         answered, and the key of this node is replaced."
    } else if standing.answered {
        "NON COMPLETO: tutti i nodi hanno risposto; manca ciò che è detto sopra.\n\
         NOT COMPLETE: every node has answered; what is said above is still to be done."
    } else {
        "NON COMPLETO: mancano risposte; i nodi restano in elenco finché rispondono. Di un nodo «relayed», che si \
         raggiunge solo tramite un altro, arriva la ricevuta firmata.\n\
         NOT COMPLETE: answers are missing; the nodes stay listed until they answer. Of a node that is relayed, \
         reached through another one alone, the signed receipt is still to come."
    }
}
