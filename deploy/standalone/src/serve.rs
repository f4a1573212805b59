//! Both planes in one process: built in order, joined by a pipe in memory, ended in order.

use std::{sync::Arc, time::Duration};

use clap::ArgMatches;
use control_plane::{App as Control, NodeConnector, config::Config, ops::Part};
use data_plane::{
    app::{App as Node, Connect, ControlStream, Setup, Target},
    metrics::Metrics,
    ops::Probe,
};
use process::signals;
use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

/// How long streams may go on before the store is given up, so that a new process can take over while they finish; the
/// records of those that are left go into the spool, which the new process ships.
const HAND_OVER: Duration = Duration::from_secs(10);

/// Serves until SIGTERM, or until an administrator asks the node to drain.
pub fn serve(matches: &ArgMatches) -> anyhow::Result<()> {
    let mut control = Config::read(matches)?;
    control.store.master_key.generate = Some(control.data_dir.join("master.key"));
    let node = data_plane::config::Config {
        // Both planes speak through the control plane's operations port.
        ops_listen: None,
        ..data_plane::config::Config::read(matches)?
    };
    // Requests are relayed by threads of the node's own: this runtime does what goes on beside them.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let control_listen = control.control.listen;
        let master_key = control.store.master_key.clone();
        let control = Control::build(control).await?;
        let setup = Setup {
            config: node,
            control: Target::InProcess(connect(control.node_connector())),
            // What comes through the pipe needs none.
            join_token: SecretString::default(),
            membership_grace: Duration::ZERO,
            node_id: None,
            node_name: "standalone".to_owned(),
            secret: master_key.derived("node snapshot")?,
            administered_locally: control_listen.ip().is_loopback(),
        };
        let node = match Node::build(setup).await {
            Ok(node) => node,
            Err(why) => {
                control.end().await;
                return Err(why.into());
            }
        };
        let part = NodePart { metrics: node.metrics(), probe: node.probe() };
        let started = control.start(vec![Arc::new(part)]);
        if let Err(why) = started {
            node.serve(std::future::ready(())).await;
            control.end().await;
            return Err(why.into());
        }
        tracing::info!(listen = %node.address(), "relaying");
        until_told(control, node).await;
        Ok(())
    })
}

/// Serves; told to end, lets the node finish, then ends the control plane. Where streams go on for long, the control
/// plane and with it the store end first.
async fn until_told(control: Control, node: Node) {
    let told = CancellationToken::new();
    let mut relaying = std::pin::pin!(node.serve(told.clone().cancelled_owned()));
    tokio::select! {
        // An administrator asked the node to drain.
        _ = relaying.as_mut() => {}
        () = terminated() => {
            control.unready().await;
            told.cancel();
            if tokio::time::timeout(HAND_OVER, relaying.as_mut()).await.is_err() {
                tracing::info!("streams go on: the store is given up, the spool keeps their records");
                control.end().await;
                relaying.await;
                return;
            }
        }
    }
    control.end().await;
}

async fn terminated() {
    if let Err(why) = signals::terminated().await {
        tracing::error!(%why, "signals cannot be waited for; ending");
    }
}

/// The control plane's pipes as the node's link opens them.
fn connect(connector: NodeConnector) -> Connect {
    Arc::new(move || {
        let connector = connector.clone();
        Box::pin(async move {
            let pipe = connector.connect().await?;
            Ok(Box::new(pipe) as Box<dyn ControlStream>)
        })
    })
}

/// The node on the operations port.
struct NodePart {
    metrics: Arc<Metrics>,
    probe: Arc<dyn Probe>,
}

impl Part for NodePart {
    fn unready(&self) -> Vec<&'static str> {
        self.probe.unready()
    }

    fn metrics(&self) -> String {
        self.probe.refresh(&self.metrics);
        self.metrics.render()
    }
}
