//! What the invented offices write: professional wording without identifiers.
//!
//! Nothing here describes a person; goals of the health plan are neutral titles.

/// Goals of a social plan.
pub(super) const SOCIAL_GOALS: &[&str] = &[
    "Raggiungere una gestione autonoma delle spese correnti e delle scadenze.",
    "Rafforzare la rete di sostegno familiare e di vicinato.",
    "Stabilizzare la situazione abitativa con un alloggio adeguato al nucleo.",
    "Assicurare la frequenza regolare dei servizi educativi per i minori del nucleo.",
    "Riprendere i contatti con i servizi del territorio e mantenere gli appuntamenti.",
    "Partecipare con continuità a un'attività di socializzazione del quartiere.",
    "Ridurre il carico di cura sui familiari con un aiuto domiciliare programmato.",
    "Completare le pratiche per le misure di sostegno al reddito.",
    "Acquisire autonomia negli spostamenti con i mezzi pubblici.",
    "Consolidare le competenze genitoriali con l'accompagnamento educativo.",
    "Migliorare la conoscenza della lingua italiana per la vita quotidiana.",
    "Favorire l'inserimento in un gruppo di auto mutuo aiuto.",
];

/// Goals of a health plan: neutral titles only.
pub(super) const HEALTH_GOALS: &[&str] = &[
    "Mantenere i controlli programmati con il servizio.",
    "Seguire il percorso concordato con il servizio sanitario.",
    "Partecipare alle attività di gruppo previste dal programma.",
    "Proseguire il percorso di riabilitazione concordato.",
    "Rivalutare il programma con l'équipe alla scadenza.",
    "Integrare il programma sanitario con le attività diurne.",
    "Rispettare il calendario degli incontri con l'operatore di riferimento.",
    "Concludere il ciclo di incontri previsto.",
];

/// Goals of a work and training plan.
pub(super) const WORK_GOALS: &[&str] = &[
    "Aggiornare il profilo professionale e la disponibilità al lavoro.",
    "Concludere un tirocinio di inclusione con valutazione positiva dell'ente ospitante.",
    "Frequentare un corso di formazione professionale fino al rilascio dell'attestato.",
    "Sostenere l'orario concordato con continuità per l'intero periodo.",
    "Sperimentare una mansione in un laboratorio protetto con tutor.",
    "Preparare il curriculum e sostenere colloqui di selezione con imprese della rete.",
    "Raggiungere un'assunzione nell'ambito del collocamento mirato.",
    "Acquisire le abilità di base per lavorare in squadra.",
    "Conseguire la certificazione delle competenze di base.",
    "Individuare una mansione adatta alle capacità e agli orari possibili.",
];

/// First sentences of a review: what was seen.
pub(super) const REVIEW_FINDINGS: &[&str] = &[
    "Il servizio rileva una frequenza regolare e una buona adesione al progetto.",
    "L'équipe rileva una frequenza discontinua nelle ultime settimane.",
    "Gli obiettivi a breve termine risultano in buona parte raggiunti.",
    "L'ente ospitante esprime una valutazione positiva sull'impegno e sulla puntualità.",
    "Il tutor segnala progressi nelle autonomie e qualche difficoltà negli orari.",
    "Il nucleo ha partecipato agli incontri di rete e collabora con gli operatori.",
    "L'intervento domiciliare procede secondo il calendario concordato.",
    "Il percorso formativo è stato avviato con due settimane di ritardo.",
    "La verifica congiunta conferma la coerenza dei tre piani.",
    "Emergono nuovi bisogni che richiedono di aggiornare il piano.",
];

/// Second sentences of a review: what was agreed.
pub(super) const REVIEW_AGREEMENTS: &[&str] = &[
    "Si concorda di proseguire con verifica mensile degli obiettivi.",
    "Si propone la prosecuzione del sostegno economico fino al prossimo trimestre.",
    "Si rimodula l'orario del tirocinio e si informa l'ente ospitante.",
    "Si attiva il raccordo con il centro per l'impiego per la fase successiva.",
    "Si aggiorna il piano sociale e si fissa un incontro di rete.",
    "Si rinvia la rivalutazione delle competenze al termine del corso.",
    "Si conferma il calendario degli incontri con la persona e il tutor.",
    "Si chiede al servizio sanitario un aggiornamento sul programma concordato.",
];

/// Interventions by plan.
pub(super) const SOCIAL_INTERVENTIONS: &[&str] = &[
    "colloquio",
    "assistenza_domiciliare",
    "sostegno_economico",
    "educativa_territoriale",
    "gruppo_ama",
];

/// Interventions of a health plan.
pub(super) const HEALTH_INTERVENTIONS: &[&str] =
    &["visita_specialistica", "gruppo_ama", "colloquio"];

/// Interventions of a work plan.
pub(super) const WORK_INTERVENTIONS: &[&str] = &[
    "orientamento",
    "corso_formazione",
    "laboratorio_protetto",
    "fattoria_sociale",
];

/// Bodies of the health service that may keep a health plan.
pub(super) const HEALTH_BODIES: &[&str] = &["DSM", "D3D", "DISS"];

/// Bodies that join some teams besides those of the three plans.
pub(super) const OTHER_BODIES: &[&str] = &["SIL", "FP", "ETS", "SCU", "COM"];

/// Instruments of inclusion at work, the frequent ones more often.
pub(super) const INSTRUMENTS: &[(&str, u64)] = &[
    ("TIS", 24),
    ("TIR", 18),
    ("BL_SSC", 14),
    ("BL_SIL", 8),
    ("BL_DSM", 6),
    ("BL_DIP", 6),
    ("LAB_OV", 6),
    ("LAB_PR", 5),
    ("CM68", 5),
    ("COOP_B", 4),
    ("VOU", 3),
    ("AGR", 3),
];

/// What an instrument is for.
pub(super) const PURPOSES: &[&str] = &["PRO", "OSS", "SOC", "LAV"];

/// How an instrument ended.
pub(super) const PLACEMENT_OUTCOMES: &[(&str, u64)] = &[
    ("PROROGA", 6),
    ("CONCLUSO", 5),
    ("ASSUNTO", 4),
    ("PASSAGGIO", 3),
    ("RINUNCIA", 2),
    ("SALUTE", 1),
];

/// Why a project was closed.
pub(super) const CLOSURE_REASONS: &[(&str, u64)] = &[
    ("OBIETTIVI", 8),
    ("4", 6),
    ("TRASF_LAVORO", 4),
    ("5", 3),
    ("7", 1),
    ("9", 1),
];

/// Areas of need.
pub(super) const NEED_AREAS: &[(&str, u64)] = &[("POV", 42), ("DIS", 33), ("FAM", 25)];

/// Local parts of an area of need.
pub(super) const SUB_AREAS: &[&str] = &[
    "salute_mentale",
    "dipendenze",
    "giustizia",
    "migrazione",
    "senza_dimora",
];

/// What a voucher is for.
pub(super) const VOUCHERS: &[&str] = &[
    "alimenti",
    "farmacia",
    "trasporto",
    "utenze",
    "centro_estivo",
];

/// Services that a referral goes to.
pub(super) const REFERRED_TO: &[&str] = &["CPI", "DSM", "D3D", "FP", "ETS", "SCU"];

/// Why somebody is referred.
pub(super) const REFERRALS: &[&str] = &[
    "Profilo e orientamento al lavoro.",
    "Valutazione congiunta della situazione.",
    "Inserimento in un corso di formazione.",
    "Accompagnamento nelle pratiche quotidiane.",
];

/// What a team decides.
pub(super) const QUESTIONS: &[&str] = &[
    "Prorogare il sostegno economico?",
    "Avviare un secondo tirocinio?",
    "Anticipare la verifica congiunta?",
];

/// Family names, all invented.
pub(super) const FAMILY_NAMES: &[&str] = &[
    "Ranuncoli",
    "Biancospini",
    "Fiordaliso",
    "Ginestrini",
    "Melagrani",
    "Nocciolini",
    "Pettirossi",
    "Quercetti",
    "Rosmarini",
    "Salicini",
    "Tigliani",
    "Verbenucci",
    "Zafferani",
    "Castagnoli Verdi",
    "Mirtillini",
    "Ortensieri",
];

/// Given names.
pub(super) const GIVEN_NAMES: &[(&str, &str)] = &[
    ("Ada", "F"),
    ("Bice", "F"),
    ("Clelia", "F"),
    ("Delia", "F"),
    ("Elvira", "F"),
    ("Fosca", "F"),
    ("Ada Maria", "F"),
    ("Ivo", "M"),
    ("Lino", "M"),
    ("Nevio", "M"),
    ("Oreste", "M"),
    ("Pio", "M"),
    ("Remo", "M"),
    ("Tullio", "M"),
];

/// What somebody asks at a desk, and what they are told.
pub(super) const QUESTIONS_AT_THE_DESK: &[(&str, &str)] = &[
    (
        "Chiede come fare l'ISEE.",
        "Indicato il CAF e i documenti da portare.",
    ),
    (
        "Chiede un aiuto per le bollette.",
        "Spiegata la misura e la scadenza.",
    ),
    (
        "Ha perso il lavoro e la casa è in scadenza.",
        "Fissato un colloquio con l'assistente sociale.",
    ),
    (
        "Chiede di un corso di italiano.",
        "Dato l'elenco dei corsi del territorio.",
    ),
    (
        "Un familiare ha bisogno di assistenza a casa.",
        "Spiegata la domanda al punto unico di accesso.",
    ),
    (
        "Cerca un lavoro part-time.",
        "Indicato il centro per l'impiego.",
    ),
];

/// What stands in a diary: nothing that happened to anybody.
pub(super) const DIARY: &[&str] = &[
    "Primo colloquio: si raccolgono i bisogni e si concorda il prossimo incontro.",
    "Visita a domicilio: situazione stabile.",
    "Telefonata con il servizio: confermato l'appuntamento.",
    "Colloquio di verifica: gli impegni presi sono mantenuti.",
];

/// Resources of a territory: title, what it is.
pub(super) const RESOURCES: &[(&str, &str)] = &[
    ("Emporio solidale", "Spesa una volta la settimana"),
    ("Sportello casa", "Orientamento su affitti e alloggi"),
    (
        "Doposcuola di quartiere",
        "Compiti e merenda, tre pomeriggi",
    ),
    ("Trasporto sociale", "Accompagnamento alle visite"),
];

/// Organisations of a network: name, body, phase, instrument that they offer.
pub(super) const ORGANISATIONS: &[(&str, &str, &str, &str)] = &[
    ("Cooperativa La Ginestra", "ETS", "member", "TIS"),
    ("Falegnameria Sociale Il Tornio", "IMP", "member", "LAB_PR"),
    ("Fattoria Le Due Querce", "ETS", "contacted", "AGR"),
    ("Officina Quattro Strade", "IMP", "identified", "TIR"),
];
