//! A coordination below a coordination: region, province, district, with the same code.

use raccordo_tests::below::{Below, author, created, guideline, peer, same_everywhere, shows};
use raccordo_tests::chance::Chance;
use raccordo_tests::eventually::{eventually, seen};
use raccordo_tests::lab::Lab;
use raccordo_tests::process::Node;
use raccordo_tests::workload::{project, some_day};
use serde_json::json;

use crate::PROGRAM;

/// A region, a province that joined it, and a district that joined the province.
struct Levels {
    region: Node,
    province: Below,
    district: Below,
}

impl Levels {
    async fn new() -> Self {
        let lab = Lab::new(PROGRAM);
        let mut region = Node::found(&lab, "region", "lazio", "coordination", &[]).await;
        region.start().await;
        let frosinone = "lazio/frosinone";
        let province = Below::started(&lab, "province", frosinone, "coordination").await;
        let a = "lazio/frosinone/a";
        let district = Below::started(&lab, "district", a, "district").await;
        district.join(&province.node).await;
        province.join(&region).await;
        Self {
            region,
            province,
            district,
        }
    }

    fn all(&self) -> [&Node; 3] {
        [&self.region, &self.province.node, &self.district.node]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn guidelines_flow_down_and_projects_flow_up_through_two_coordinations() {
    let levels = Levels::new().await;
    let rule = created(&levels.region.http(), "guidelines", &guideline("Regionale")).await;
    same_everywhere(&levels.all(), &rule).await;
    assert_eq!(
        author(&levels.district.node, &rule).await,
        levels.region.id().await,
        "the district knows the region, which it never met"
    );
    let own = guideline("Provinciale");
    let own = created(&levels.province.node.http(), "guidelines", &own).await;
    same_everywhere(&levels.all(), &own).await;
    let edit = json!([{"op": "replace", "path": "/title", "value": "x"}]);
    let province = levels.province.node.http();
    province
        .patch(&rule, None, &edit)
        .await
        .refused(403, "not_home");
    let fields = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    let path = created(&levels.district.node.http(), "projects", &fields).await;
    same_everywhere(&levels.all(), &path).await;
    eventually("the region's overview has the district", async || {
        let overview = levels.region.local().look("/api/v1/overview").await?;
        let part = overview["territories"][0].clone();
        let whole = part["territory"] == "lazio/frosinone/a"
            && part["projects"]["total"] == 1
            && part["state"] == "current";
        seen(whole, || overview.to_string())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_region_revokes_a_district_and_the_province_closes_its_link() {
    let levels = Levels::new().await;
    let fields = project(&mut Chance::new(1), Some("FR-A-1"), some_day());
    let path = created(&levels.district.node.http(), "projects", &fields).await;
    same_everywhere(&levels.all(), &path).await;
    let id = levels.district.node.id().await;
    let revoke = ["peer", "revoke", &id, "--reason", "merged"];
    levels.region.cli(&revoke).await.expect(0);
    eventually("the province closes the district's link", async || {
        let status = levels.province.node.local().look("/api/v1/status").await?;
        let link = peer(&status, &id);
        seen(link["state"] == "revoked", || link.to_string())
    })
    .await;
    shows(&levels.region, &path, "/ref", &json!("FR-A-1")).await;
}
