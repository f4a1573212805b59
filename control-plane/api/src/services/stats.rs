//! What was used and what it cost.

mod range;

use domain::{Account, Key, account::Status as AccountStatus, time};
use fleet::{
    Fleet,
    counters::{self, Dimension, Order, Range, Step, Top},
};
use proto::admin::{self, stats_service_server::StatsService};
use store::Store;
use tonic::{Request, Response, Status};

use self::range::Resolved;
use crate::{convert, records::Records};

/// Models in a report.
const MODELS: usize = 100;
/// Minutes that "recent" spans at most.
const RECENT_MINUTES: i32 = 5;

/// The service.
pub struct Stats {
    records: Records,
    fleet: Fleet,
}

impl Stats {
    /// Over the records and the nodes.
    pub fn new(records: Records, fleet: Fleet) -> Self {
        Self { records, fleet }
    }
}

/// Usage and cost of one thing over a range, with its steps and models.
///
/// # Errors
/// `INVALID_ARGUMENT` for a range that cannot be meant, or the store's.
pub(super) async fn report(
    records: &Records,
    dimension: Dimension,
    id: &str,
    asked: &admin::StatsRange,
) -> Result<admin::UsageReport, Status> {
    let settings = records.settings().await?.value;
    let resolved = range::resolve(asked, &settings, records.now_ms())?;
    let store = records.store();
    let totals = counters::totals(store, dimension, id, &resolved.range).await.map_err(convert::store)?;
    let points = match resolved.step {
        Step::Total => Vec::new(),
        step => counters::read(store, dimension, id, step, &resolved.range).await.map_err(convert::store)?,
    };
    let models = models(store, dimension, id, &resolved.range).await?;
    let point = |point: counters::Point| admin::UsagePoint {
        start: Some(time::to_wire(point.start_ms)),
        totals: Some(point.totals),
    };
    Ok(admin::UsageReport {
        totals: Some(totals),
        points: points.into_iter().map(point).collect(),
        models: models.into_iter().map(|top| entry(String::new(), top)).collect(),
        start: resolved.shown_start(),
        end: Some(time::to_wire(resolved.range.end_ms)),
        step: resolved.step.as_str().into(),
    })
}

/// The models within something, as far as they are counted.
async fn models(store: &Store, dimension: Dimension, id: &str, range: &Range) -> Result<Vec<Top>, Status> {
    let (dimension, within) = match dimension {
        Dimension::Overall => (Dimension::Model, String::new()),
        Dimension::Key => (Dimension::KeyModel, format!("{id}/")),
        Dimension::Account => (Dimension::AccountModel, format!("{id}/")),
        _ => return Ok(Vec::new()),
    };
    let top = counters::top(store, dimension, &within, range, Order::RatedCost, MODELS).await;
    top.map_err(convert::store)
}

/// An entry of a list; without a name of its own it is called by its id.
fn entry(name: String, top: Top) -> admin::TopEntry {
    let name = if name.is_empty() { top.id.clone() } else { name };
    admin::TopEntry { id: top.id, name, totals: Some(top.totals) }
}

fn dimension(word: &str) -> Result<Dimension, Status> {
    Dimension::parse(word).ok_or_else(|| {
        let words = "must be `key`, `account`, `model`, `user`, `tag`, `platform` or `group`";
        convert::invalid_field("dimension", words)
    })
}

impl Stats {
    fn name_of(&self, dimension: Dimension, id: &str) -> String {
        let view = self.records.view();
        let name = match dimension {
            Dimension::Key => view.get::<Key>(id).map(|key| key.value.name.clone()),
            Dimension::Account => view.get::<Account>(id).map(|account| account.value.name.clone()),
            Dimension::Group => view.get::<domain::Group>(id).map(|group| group.value.name.clone()),
            Dimension::User => view.get::<domain::User>(id).map(|user| user.value.username.clone()),
            Dimension::Platform => {
                platforms::registry::find(id).map(|platform| platform.info().name.to_owned())
            }
            _ => None,
        };
        name.unwrap_or_default()
    }

    async fn overview(&self) -> Result<admin::Overview, Status> {
        let (store, now) = (self.records.store(), self.records.now_ms());
        let settings = self.records.settings().await?.value;
        let zone = settings.zone();
        let today = range::resolve(&admin::StatsRange::default(), &settings, now)?.range;
        let minute = now - now.rem_euclid(60_000);
        let recent =
            Range { start_ms: minute - i64::from(RECENT_MINUTES) * 60_000, end_ms: minute, ..today.clone() };
        let total = Range::total(now, zone);
        let sums = |range| counters::totals(store, Dimension::Overall, "", range);
        let (today, recent, total) =
            tokio::try_join!(sums(&today), sums(&recent), sums(&total)).map_err(convert::store)?;
        let mut overview = admin::Overview {
            today: Some(today),
            total: Some(total),
            recent: Some(recent),
            recent_minutes: RECENT_MINUTES,
            version: proto::VERSION.into(),
            store: store.status().await.map_err(convert::store)?.backend.into(),
            ..admin::Overview::default()
        };
        self.count(&mut overview, now).await?;
        Ok(overview)
    }

    /// Counts keys, accounts and nodes.
    async fn count(&self, overview: &mut admin::Overview, now: i64) -> Result<(), Status> {
        for key in self.records.view().all::<Key>().iter().filter(|key| key.value.deleted_at_ms.is_none()) {
            overview.keys += 1;
            overview.active_keys += i64::from(key.value.status(now) == "active");
        }
        overview.accounts = AccountStatus::ALL.iter().map(|status| (status.as_str().to_owned(), 0)).collect();
        for account in self.records.view().all::<Account>().iter() {
            *overview.accounts.entry(account.value.state.status(now).as_str().into()).or_default() += 1;
        }
        overview.nodes = ["connected", "draining", "silent"].map(|state| (state.to_owned(), 0)).into();
        for node in self.fleet.nodes().await.map_err(convert::store)? {
            *overview.nodes.entry(node.state).or_default() += 1;
        }
        Ok(())
    }
}

#[tonic::async_trait]
impl StatsService for Stats {
    async fn get_overview(
        &self,
        _: Request<admin::GetOverviewRequest>,
    ) -> Result<Response<admin::Overview>, Status> {
        self.overview().await.map(Response::new)
    }

    async fn get_usage(
        &self,
        request: Request<admin::GetUsageRequest>,
    ) -> Result<Response<admin::UsageReport>, Status> {
        let asked = request.into_inner();
        let dimension = dimension(&asked.dimension)?;
        if (dimension == Dimension::Overall) != asked.id.is_empty() {
            return Err(convert::invalid_field("id", "goes with `dimension`: give both or neither"));
        }
        if asked.id.len() > 256 {
            return Err(convert::invalid_field("id", "must have at most 256 bytes"));
        }
        let range = asked.range.unwrap_or_default();
        report(&self.records, dimension, &asked.id, &range).await.map(Response::new)
    }

    async fn get_top(
        &self,
        request: Request<admin::GetTopRequest>,
    ) -> Result<Response<admin::GetTopResponse>, Status> {
        let asked = request.into_inner();
        let dimension = match asked.dimension.as_str() {
            "" => Dimension::Model,
            word => dimension(word)?,
        };
        let order = Order::parse(&asked.order_by).ok_or_else(|| {
            convert::invalid_field("order_by", "must be `rated_cost`, `requests` or `tokens`")
        })?;
        let limit = match asked.limit {
            0 => 10,
            limit @ 1..=100 => limit as usize,
            _ => return Err(convert::invalid_field("limit", "must be 1 to 100, or 0 for 10")),
        };
        let settings = self.records.settings().await?.value;
        let Resolved { range, .. } =
            range::resolve(&asked.range.unwrap_or_default(), &settings, self.records.now_ms())?;
        let top = counters::top(self.records.store(), dimension, "", &range, order, limit).await;
        let entries =
            top.map_err(convert::store)?.into_iter().map(|top| entry(self.name_of(dimension, &top.id), top));
        Ok(Response::new(admin::GetTopResponse { entries: entries.collect() }))
    }
}
