//! The deployment's settings.

use domain::Settings;
use proto::{
    admin::{self, settings_service_server::SettingsService},
    types,
};
use tonic::{Request, Response, Status};

use crate::{
    convert,
    guard::Caller,
    records::{Records, check_etag},
};

/// The service.
pub struct SettingsDesk {
    records: Records,
}

impl SettingsDesk {
    /// Over the records.
    pub fn new(records: Records) -> Self {
        Self { records }
    }
}

#[tonic::async_trait]
impl SettingsService for SettingsDesk {
    async fn get_settings(
        &self,
        _: Request<admin::GetSettingsRequest>,
    ) -> Result<Response<types::Settings>, Status> {
        let settings = self.records.settings().await?;
        Ok(Response::new(settings.value.to_wire(settings.version)))
    }

    async fn update_settings(
        &self,
        request: Request<admin::UpdateSettingsRequest>,
    ) -> Result<Response<types::Settings>, Status> {
        let caller = Caller::of(&request)?;
        let asked = request.into_inner();
        let wire = asked.settings.unwrap_or_default();
        let held = self.records.settings().await?;
        check_etag(&wire.etag, held.version)?;
        let fields =
            Settings::fields(&wire, asked.update_mask.as_ref()).map_err(|wrong| convert::invalid(&wrong))?;
        let mut settings = held.value.clone();
        settings.apply(&wire, &fields).map_err(|wrong| convert::invalid(&wrong))?;
        let settings = self.records.update(&caller, &held, settings).await?;
        Ok(Response::new(settings.value.to_wire(settings.version)))
    }
}
