//! Edits of records of every kind, for tests of what joins in any order.

use raccordo_crdt_model::Kind;
use serde_json::{Value, json};

use super::common::Numbers;

/// Edits of a kind's record, each with a value of its own choice.
pub(crate) fn edits(kind: Kind, numbers: &mut Numbers) -> Vec<Value> {
    let amount = numbers.below(3);
    let mut one = |values: [&'static str; 2]| values[numbers.below(2)].to_owned();
    match kind {
        Kind::Project => {
            let state = one(["active", "review"]);
            vec![
                json!([{"op":"add","path":"/state","value":state}]),
                json!([{"op":"add","path":"/state","value":"suspended"}]),
                json!([{"op":"add","path":"/outcome","value":{"code":one(["4","9"]),"on":"2026-12-01"}}]),
                json!([{"op":"add","path":"/need_area","value":one(["FAM","DIS"])}]),
                json!([{"op":"add","path":"/sub_areas/0","value":one(["giustizia","violenza"])}]),
                json!([{"op":"remove","path":"/sub_areas/0"}]),
                json!([{"op":"remove","path":"/reviews/r1"}]),
                json!([{"op":"add","path":"/reviews/r1","value":{"on":"2026-06-01","summary":one(["Uno","Due"])}}]),
                json!([{"op":"add","path":"/reviews/r1/summary","value":one(["Tre","Quattro"])}]),
                json!([{"op":"add","path":"/instruments/k1/amount_eur","value":amount}]),
                json!([{"op":"add","path":format!("/decisions/{}", one(["d1","d2"])),"value":{"question":one(["A?","B?"])}}]),
                json!([{"op":"add","path":format!("/decisions/d1/votes/{}", one(["w1","w2"])),"value":{"body":one(["SSD","CPI"])}}]),
                json!([{"op":"remove","path":"/decisions/d1"}]),
                json!([{"op":"remove","path":"/decisions"}]),
                json!([{"op":"add","path":"/decisions","value":{"d3":{"votes":{"w3":{"body":"SSD"}}}}}]),
                json!([{"op":"add","path":format!("/links/{}", one(["next","previous"])),"value":one(["00","11"])}]),
                json!([{"op":"add","path":"/plans/social/signatures/s1","value":{"body":one(["SSD","DSM"])}}]),
                json!([{"op":"add","path":format!("/vouchers/b1/spent/{}", one(["e1","e2"])),"value":{"amount_eur":amount}}]),
                json!([{"op":"add","path":"/vouchers/b1","value":{"value_eur":1}}]),
            ]
        }
        Kind::Guideline => vec![
            json!([{"op":"add","path":"/state","value":one(["superseded","published"])}]),
            json!([{"op":"add","path":"/title","value":one(["Uno","Due"])}]),
            json!([{"op":"add","path":"/version","value":one(["3","4"])}]),
            json!([{"op":"add","path":"/valid_until","value":one(["2028-12-31","2029-12-31"])}]),
            json!([{"op":"add","path":"/bodies/0","value":one(["DSM","D3D"])}]),
            json!([{"op":"remove","path":"/bodies/0"}]),
            json!([{"op":"remove","path":"/sections/s1"}]),
            json!([{"op":"add","path":"/sections/s1","value":{"title":one(["Tre","Quattro"])}}]),
            json!([{"op":"add","path":"/sections/s1/text","value":one(["Cinque","Sei"])}]),
            json!([{"op":"add","path":"/steps/p2","value":{"body":"CPI","within_days":amount}}]),
        ],
        Kind::Organisation => vec![
            json!([{"op":"add","path":"/state","value":one(["withdrawn","member"])}]),
            json!([{"op":"add","path":"/name","value":one(["Uno","Due"])}]),
            json!([{"op":"add","path":"/contacts/phone","value":one(["0775 1","0775 2"])}]),
            json!([{"op":"add","path":"/contacts/phone","value":null}]),
            json!([{"op":"add","path":"/need_areas/0","value":one(["FAM","DIS"])}]),
            json!([{"op":"remove","path":"/need_areas/0"}]),
            json!([{"op":"remove","path":"/offers/o1"}]),
            json!([{"op":"add","path":"/offers/o1","value":{"title":one(["Tre","Quattro"])}}]),
            json!([{"op":"add","path":"/offers/o1/how","value":one(["Cinque","Sei"])}]),
            json!([{"op":"add","path":"/offers/o1/need_areas","value":[one(["FAM","POV"])]}]),
            json!([{"op":"add","path":"/agreements/a2","value":{"kind":"protocollo"}}]),
        ],
        other => of_the_territory(other, amount, &mut one),
    }
}

/// Edits of the kinds of a district's own day.
fn of_the_territory(
    kind: Kind,
    amount: usize,
    one: &mut dyn FnMut([&'static str; 2]) -> String,
) -> Vec<Value> {
    match kind {
        Kind::Person => vec![
            json!([{"op":"add","path":"/state","value":one(["merged","deceased"])}]),
            json!([{"op":"add","path":"/family_name","value":one(["Uno","Due"])}]),
            json!([{"op":"add","path":"/residence/homeless","value":one(["y","n"]) == "y"}]),
            json!([{"op":"add","path":"/contacts","value":{"phone":one(["1","2"])}}]),
        ],
        Kind::Household => vec![
            json!([{"op":"add","path":"/members/m2","value":{"relation":one(["child","parent"])}}]),
            json!([{"op":"remove","path":"/members/m1"}]),
            json!([{"op":"add","path":"/members/m1/until","value":one(["2027-01-01","2028-01-01"])}]),
        ],
        Kind::Casefile => vec![
            json!([{"op":"add","path":format!("/diary/{}", one(["d2","d3"])),"value":{"text":one(["Uno","Due"])}}]),
            json!([{"op":"add","path":format!("/assessments/a1/dimensions/{}", one(["x2","x3"])),"value":{"score":amount}}]),
            json!([{"op":"remove","path":"/assessments/a1"}]),
            json!([{"op":"remove","path":"/assessments/a1/dimensions/x1"}]),
            json!([{"op":"add","path":"/work_extract/limits","value":one(["Uno","Due"])}]),
        ],
        Kind::Contact => vec![
            json!([{"op":"add","path":"/outcome","value":one(["information","none"])}]),
            json!([{"op":"add","path":"/state","value":"open"}]),
            json!([{"op":"add","path":"/services/s2","value":{"title":one(["Uno","Due"])}}]),
        ],
        Kind::Resource => vec![
            json!([{"op":"add","path":"/state","value":one(["paused","withdrawn"])}]),
            json!([{"op":"add","path":"/title","value":one(["Uno","Due"])}]),
            json!([{"op":"add","path":"/who_for/0","value":one(["uno","due"])}]),
        ],
        Kind::ErasureOrder => vec![
            json!([{"op":"add","path":"/documents/d2","value":{"document":one(["ee","ff"])}}]),
            json!([{"op":"replace","path":"/state","value":"completed"}]),
        ],
        Kind::Publication => vec![
            json!([{"op":"add","path":"/counts/c1/count","value":amount + 5}]),
            json!([{"op":"replace","path":"/state","value":one(["records","aggregates"])}]),
            json!([{"op":"remove","path":"/counts/c2"}]),
        ],
        Kind::Notice => vec![
            json!([{"op":"add","path":"/sides/s2","value":{"mark":one(["ee","ff"])}}]),
            json!([{"op":"replace","path":"/state","value":"ended"}]),
        ],
        Kind::Activity => vec![
            json!([{"op":"add","path":"/state","value":"corrected"}]),
            json!([{"op":"add","path":"/hours","value":amount}]),
            json!([{"op":"add","path":"/bodies/0","value":one(["CPI","D3D"])}]),
        ],
        Kind::Transfer => vec![
            json!([{"op":"add","path":"/state","value":one(["accepted","withdrawing"])}]),
            json!([{"op":"add","path":format!("/words/{}", one(["n2","n3"])),"value":{"word":"declined"}}]),
            json!([{"op":"add","path":"/refusal","value":one(["Uno","Due"])}]),
        ],
        Kind::Project | Kind::Guideline | Kind::Organisation => Vec::new(),
    }
}
