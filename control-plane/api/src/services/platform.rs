//! Kinds of upstream accounts.

use platforms::registry;
use proto::admin::{self, platform_service_server::PlatformService};
use tonic::{Request, Response, Status};

/// The service.
pub struct Platforms;

#[tonic::async_trait]
impl PlatformService for Platforms {
    async fn list_platforms(
        &self,
        _: Request<admin::ListPlatformsRequest>,
    ) -> Result<Response<admin::ListPlatformsResponse>, Status> {
        let platforms = registry::all().iter().map(|platform| platform.info().to_wire()).collect();
        Ok(Response::new(admin::ListPlatformsResponse { platforms }))
    }
}
