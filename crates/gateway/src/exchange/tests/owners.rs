//! Whose a call is, and the trail of who commanded it.

use super::*;
use crate::events::Event;
use crate::switchboard_task::Owner;

fn of(tenant: Option<&str>) -> By {
    By {
        key: "key".into(),
        tenant: tenant.map(Into::into),
        from: "192.0.2.1".to_owned().into(),
        request: "request".to_owned(),
    }
}

impl Scene {
    async fn ask(&self, guid: &str, command: Command, tenant: Option<&str>) -> &'static str {
        let by = of(tenant);
        match self.switchboard.command(siprec(guid), command, by).await {
            Ok(_) => "ok",
            Err(refused) => refused.code(),
        }
    }

    /// Starts a call that is there, and has the service accept it.
    async fn start(&self, guid: &str, tenant: Option<&str>) -> &'static str {
        let accept = async {
            let call = self.call_in(guid, StateName::Starting).await;
            self.accept(&call);
        };
        tokio::join!(self.ask(guid, start(guid), tenant), accept).0
    }

    /// Call, verb and outcome of every command that was told.
    fn trail(&self) -> Vec<(String, &'static str, &'static str)> {
        let records = self.bus.read(&mut 0, |_| true).records;
        let commands = records.iter().filter_map(|record| match &record.event {
            Event::Command(command) => {
                let call = record.call.guid.as_str().to_owned();
                Some((call, command.verb, command.outcome))
            }
            _ => None,
        });
        commands.collect()
    }
}

#[tokio::test]
async fn a_call_is_its_that_started_it_and_not_there_for_another() {
    let scene = Scene::new();
    let _feed = scene.leg("1", Side::First, |leg| leg.names = names(&["2"]));
    scene.call_in("1", StateName::Idle).await;
    assert_eq!(scene.start("2", Some("north")).await, "ok");
    let call = scene.call("1").await.unwrap();
    assert_eq!(call.owner, Owner::Started(Some("north".into())));
    assert!(call.owner.shows_to(Some("north")) && call.owner.shows_to(None));
    assert!(!call.owner.shows_to(Some("south")));
    for command in [Command::Pause, Command::Stop, start("1")] {
        assert_eq!(scene.ask("1", command, Some("south")).await, "400-203");
    }
    assert_eq!(scene.ask("1", Command::Pause, Some("north")).await, "ok");
    assert_eq!(scene.ask("1", Command::Resume, None).await, "ok");
}

#[tokio::test]
async fn a_call_that_a_key_without_a_tenant_has_started_is_no_tenant_s() {
    let scene = Scene::new();
    let _feed = scene.leg("1", Side::First, |_| ());
    scene.call_in("1", StateName::Idle).await;
    assert_eq!(scene.start("1", None).await, "ok");
    assert_eq!(
        scene.ask("1", Command::Pause, Some("north")).await,
        "400-203"
    );
    let owner = scene.call("1").await.unwrap().owner;
    assert_eq!(owner, Owner::Started(None));
}

#[tokio::test]
async fn commands_are_told_under_the_call_s_own_name_with_what_became_of_them() {
    let scene = Scene::new();
    let _feed = scene.leg("1", Side::First, |leg| leg.names = names(&["2"]));
    scene.call_in("1", StateName::Idle).await;
    assert_eq!(scene.start("2", None).await, "ok");
    assert_eq!(scene.ask("2", Command::Resume, None).await, "409-201");
    assert_eq!(scene.ask("2", Command::Pause, None).await, "ok");
    // Of a call that is not there, and by somebody for whom it is not there, nothing is told.
    assert_eq!(scene.ask("9", Command::Stop, None).await, "400-203");
    assert_eq!(
        scene.ask("1", Command::Stop, Some("north")).await,
        "400-203"
    );
    let own = "1".to_owned();
    let trail = [("start", "ok"), ("resume", "409-201"), ("pause", "ok")];
    assert_eq!(
        scene.trail(),
        trail.map(|(verb, outcome)| (own.clone(), verb, outcome))
    );
}
