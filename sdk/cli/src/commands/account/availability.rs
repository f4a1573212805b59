//! `account availability`.

use anyhow::Result;
use sdk::{admin, types::UsageWindow};

use crate::{
    commands::Context,
    output::{self, Shown, time},
};

/// What stands against choosing an account, and how far its usage windows are spent.
pub async fn run(context: &Context, id: String) -> Result<()> {
    let request = admin::GetAccountAvailabilityRequest { platform: String::new(), id };
    let answer = context.client.accounts().get_account_availability(request).await;
    let answer = answer.map_err(sdk::Error::from)?.into_inner();
    let obstacle = |one: &admin::Obstacle| {
        vec![one.reason.clone(), one.family.clone(), time(one.until.as_ref()), one.detail.clone()]
    };
    let rows = answer.obstacles.iter().map(obstacle).chain(answer.windows.iter().map(window)).collect();
    let note = match answer.available {
        true => "Nothing stands against it.".to_owned(),
        false => "It cannot serve all that it could.".to_owned(),
    };
    let shown = Shown {
        json: context.json("crs.admin.v1.AccountAvailability", &answer)?,
        table: (vec!["REASON", "FAMILY", "UNTIL", "DETAIL"], rows),
        names: answer.obstacles.iter().map(|one| one.reason.clone()).collect(),
        note: Some(note),
    };
    output::print(context.format, shown)
}

fn window(window: &UsageWindow) -> Vec<String> {
    let used =
        window.used_permille.map_or_else(String::new, |used| format!("{}.{} % used", used / 10, used % 10));
    let detail = [window.status.as_str(), &used].into_iter().filter(|part| !part.is_empty());
    vec![
        format!("(window {})", window.name),
        window.family.clone(),
        time(window.resets_at.as_ref()),
        detail.collect::<Vec<_>>().join(", "),
    ]
}
