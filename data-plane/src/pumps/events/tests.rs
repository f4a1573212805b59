//! Events reach a service that fails at first, in order, and are bounded.

use proto::node::{
    AccountEventResponse,
    account_event_service_server::{AccountEventService, AccountEventServiceServer},
};
use tonic::{Request, Response, Status, service::Routes};

use super::*;
use crate::pumps::bed;

#[derive(Clone, Default)]
struct Service {
    calls: Arc<Mutex<usize>>,
    seen: Arc<Mutex<Vec<i64>>>,
}

#[tonic::async_trait]
impl AccountEventService for Service {
    async fn report(
        &self,
        request: Request<AccountEventRequest>,
    ) -> Result<Response<AccountEventResponse>, Status> {
        let mut calls = self.calls.lock();
        *calls += 1;
        if *calls < 3 {
            return Err(Status::unavailable("not yet"));
        }
        self.seen.lock().extend(request.into_inner().events.iter().map(|event| event.at_ms));
        Ok(Response::new(AccountEventResponse {}))
    }

    async fn fresh_token(
        &self,
        _: Request<proto::node::FreshTokenRequest>,
    ) -> Result<Response<proto::node::FreshTokenResponse>, Status> {
        Err(Status::unimplemented("events alone are told here"))
    }
}

fn event(at_ms: i64) -> AccountEvent {
    AccountEvent { at_ms, ..AccountEvent::default() }
}

#[tokio::test]
async fn events_are_sent_again_until_accepted_and_in_order() {
    let (tasks, service, events) = (Tasks::new("test"), Service::default(), Events::default());
    events.start(bed::link(Routes::new(AccountEventServiceServer::new(service.clone())), &tasks), &tasks);
    (0..1000).for_each(|n| events.report(event(n)));
    bed::until("events did not arrive", || service.seen.lock().len() >= 1000).await;
    events.report(event(1000));
    bed::until("a later event did not arrive", || events.waiting().0 == 0).await;
    assert!(service.seen.lock().iter().copied().eq(0..=1000));
    // Two failures, two batches of the thousand, one of the last.
    assert_eq!(*service.calls.lock(), 5);
}

#[test]
fn the_oldest_go_when_too_many_wait_and_what_was_sent_is_not_confused_with_them() {
    let events = Events::default();
    (0..10).for_each(|n| events.report(event(n)));
    let (batch, until) = events.batch();
    assert_eq!(batch.len(), 10);
    let last = (WAITING + 5) as i64;
    (10..last).for_each(|n| events.report(event(n)));
    assert_eq!(events.waiting(), (WAITING, 5));
    events.done(until);
    let (batch, _) = events.batch();
    assert_eq!(batch[0].at_ms, 10, "only what was sent is gone");
}
