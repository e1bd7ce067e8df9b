//! Code lists that more than one kind of record uses.

/// Bodies that take part (`ServiceBody`).
pub(super) const BODIES: &[&str] = &[
    "SSD", "DSM", "D3D", "DISS", "CPI", "SIL", "CSS", "COR", "DPREV", "FP", "SCU", "ETS", "IMP",
    "PROV", "COM",
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
