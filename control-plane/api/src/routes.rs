//! The services of this port as one tonic router, with reflection of the contract and health.

use std::sync::Arc;

use fleet::Fleet;
use proto::admin::{
    account_service_server::AccountServiceServer, audit_service_server::AuditServiceServer,
    auth_service_server::AuthServiceServer, binding_service_server::BindingServiceServer,
    group_service_server::GroupServiceServer, key_service_server::KeyServiceServer,
    node_admin_service_server::NodeAdminServiceServer, platform_service_server::PlatformServiceServer,
    request_service_server::RequestServiceServer, settings_service_server::SettingsServiceServer,
    stats_service_server::StatsServiceServer,
};
use tonic::service::Routes;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    auth::Hasher,
    contract,
    guard::{Rules, STRANGERS_BODY},
    probe::Prober,
    records::Records,
    services::{
        account::Accounts, audit::Audit, auth::Auth, binding::Bindings, group::Groups, key::Keys,
        node_admin::NodeAdmin, platform::Platforms, request::Requests, settings::SettingsDesk, stats::Stats,
    },
};

/// What the services are built from.
pub(crate) struct Parts {
    pub records: Records,
    pub fleet: Fleet,
    pub prober: Arc<dyn Prober>,
    pub hasher: Hasher,
    pub rules: Arc<Rules>,
    pub max_body: usize,
}

/// All services, with reflection.
pub(crate) async fn build(parts: Parts, health: &HealthReporter) -> Routes {
    let Parts { records, fleet, prober, hasher, rules, max_body } = parts;
    let records = || records.clone();
    let auth = AuthServiceServer::new(Auth::new(records(), hasher, rules));
    let keys = KeyServiceServer::new(Keys::new(records()));
    let bindings = BindingServiceServer::new(Bindings::new(records()));
    let groups = GroupServiceServer::new(Groups::new(records()));
    let accounts = AccountServiceServer::new(Accounts::new(records(), prober));
    let stats = StatsServiceServer::new(Stats::new(records(), fleet.clone()));
    let nodes = NodeAdminServiceServer::new(NodeAdmin::new(records(), fleet.clone()));
    let settings = SettingsServiceServer::new(SettingsDesk::new(records()));
    let requests = RequestServiceServer::new(Requests::new(records(), fleet));
    let audit = AuditServiceServer::new(Audit::new(records()));
    let platforms = PlatformServiceServer::new(Platforms);
    let routes = Routes::new(auth.max_decoding_message_size(STRANGERS_BODY.min(max_body)))
        .add_service(keys.max_decoding_message_size(max_body))
        .add_service(bindings.max_decoding_message_size(max_body))
        .add_service(groups.max_decoding_message_size(max_body))
        .add_service(accounts.max_decoding_message_size(max_body))
        .add_service(stats.max_decoding_message_size(max_body))
        .add_service(nodes.max_decoding_message_size(max_body))
        .add_service(settings.max_decoding_message_size(max_body))
        .add_service(requests.max_decoding_message_size(max_body))
        .add_service(audit.max_decoding_message_size(max_body))
        .add_service(platforms.max_decoding_message_size(max_body));
    for service in names() {
        health.set_service_status(service, ServingStatus::Serving).await;
    }
    with_reflection(routes)
}

/// Full names of the services of this port.
fn names() -> Vec<String> {
    let services = contract::pool().services().filter(|service| service.package_name() == contract::PACKAGE);
    services.map(|service| service.full_name().to_owned()).collect()
}

/// Reflection in both versions: some clients ask for the newer, some for the older.
fn with_reflection(mut routes: Routes) -> Routes {
    const OTHERS: [&str; 2] = ["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
    let builder = || {
        let builder = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            // So that tools can read the details of errors.
            .register_encoded_file_descriptor_set(tonic_types::pb::FILE_DESCRIPTOR_SET);
        // Node services are not on this port, so it does not speak of them.
        names()
            .into_iter()
            .chain(OTHERS.map(str::to_owned))
            .fold(builder, |b, name| b.with_service_name(name))
    };
    match (builder().build_v1(), builder().build_v1alpha()) {
        (Ok(v1), Ok(v1alpha)) => routes = routes.add_service(v1).add_service(v1alpha),
        (v1, v1alpha) => {
            let why = [v1.err(), v1alpha.err()].into_iter().flatten().next();
            tracing::error!(?why, "reflection cannot be served");
        }
    }
    routes
}
