//! Code lists that more than one kind of record uses.

/// Bodies that take part (`ServiceBody`).
pub(crate) const BODIES: &[&str] = &[
    "SSD", "DSM", "D3D", "DISS", "CPI", "SIL", "CSS", "COR", "DPREV", "FP", "SCU", "ETS", "IMP",
    "PROV", "COM",
];

/// Which of them answer for a plan: the health service, the social service, those that bring into
/// work. A body that is in none of the rows may answer for any plan but the health plan.
pub(crate) const BODIES_OF_PLANS: &[(&str, &[&str])] = &[
    ("health", &["DSM", "D3D", "DISS", "DPREV"]),
    ("social", &["SSD"]),
    ("work", &["CPI", "SIL"]),
];

/// Areas of need.
pub(super) const NEED_AREAS: &[&str] = &["FAM", "DIS", "POV"];

/// Instruments (`InstrumentKind`).
pub(super) const INSTRUMENTS: &[&str] = &[
    "BL_SSC", "BL_SIL", "BL_DSM", "BL_DIP", "TIR", "TIS", "LAB_OV", "LAB_PR", "CM68", "COOP_B",
    "LSU", "LPU", "VOU", "AGR", "SCOM", "MICRO", "ASS",
];

/// Sexes as the registry office writes them.
pub(super) const SEXES: &[&str] = &["F", "M", "X"];
