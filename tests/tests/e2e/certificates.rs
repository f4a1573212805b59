//! Nodes that prove themselves by a certificate (mTLS on the port for nodes): checked against an authority, its first DNS
//! name is the node's id; no join token is needed, and no other certificate helps.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use e2e::{
    mock::{Mock, Options},
    sandbox::{Fleet, FleetOptions, Process, Talk, binary, eventually, free_port},
};
use serde_json::json;

use crate::bed::{Test, UPSTREAM_KEY, serves};

/// Makes an authority of its own and a certificate of it with a subject alternative name; false: there is no openssl.
fn certificate(folder: &Path, authority: &str, name: &str, san: &str) -> anyhow::Result<bool> {
    let path = |file: String| folder.join(file).display().to_string();
    let openssl = |arguments: &[&str]| {
        Command::new("openssl").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    let (ca, ca_key) = (path(format!("{authority}.pem")), path(format!("{authority}.key")));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    if !Path::new(&ca).is_file() {
        let subject = format!("/CN={authority}");
        let made = openssl(
            &[
                &["req", "-x509", "-days", "2", "-subj", &subject, "-keyout", &ca_key, "-out", &ca][..],
                &curve,
            ]
            .concat(),
        );
        match made {
            Ok(status) => anyhow::ensure!(status.success(), "openssl made no authority"),
            Err(why) if why.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(why) => return Err(why.into()),
        }
    }
    let (key, request, out) =
        (path(format!("{name}.key")), path(format!("{name}.csr")), path(format!("{name}.crt")));
    let (subject, extensions) = (format!("/CN={name}"), path(format!("{name}.ext")));
    std::fs::write(&extensions, format!("subjectAltName={san}\nbasicConstraints=critical,CA:FALSE\n"))?;
    let asked =
        openssl(&[&["req", "-subj", &subject, "-keyout", &key, "-out", &request][..], &curve].concat())?;
    let signed = openssl(&[
        "x509",
        "-req",
        "-days",
        "2",
        "-in",
        &request,
        "-CA",
        &ca,
        "-CAkey",
        &ca_key,
        "-CAcreateserial",
        "-extfile",
        &extensions,
        "-out",
        &out,
    ])?;
    anyhow::ensure!(asked.success() && signed.success(), "openssl made no certificate");
    Ok(true)
}

/// Starts a node that has no token; where it relays.
fn start(
    fleet: &Fleet,
    folder: &Path,
    name: &str,
    certificate: &str,
) -> anyhow::Result<(Process, SocketAddr)> {
    let file = |name: &str| folder.join(name).display().to_string();
    let (relay, ops) = (free_port()?, free_port()?);
    let control = format!("https://{}", fleet.replicas[0].for_nodes);
    let arguments = [
        "serve",
        "--data-dir",
        &file(name),
        "--control",
        &control,
        "--listen",
        &relay.to_string(),
        "--ops-listen",
        &ops.to_string(),
        "--node-name",
        name,
        "--control-ca-file",
        &file("ours.pem"),
        "--client-certificate",
        &file(&format!("{certificate}.crt")),
        "--client-key",
        &file(&format!("{certificate}.key")),
    ];
    let arguments = arguments.map(str::to_owned).to_vec();
    Ok((Process::start(name, &binary("crs-data")?, &arguments, &[], folder)?, relay))
}

#[tokio::test]
async fn a_node_with_a_certificate_of_our_authority_needs_no_token_and_is_named_by_it() -> Test {
    let folder = tempfile::tempdir()?;
    let made = certificate(folder.path(), "ours", "server", "IP:127.0.0.1,DNS:localhost")?
        && certificate(folder.path(), "ours", "rack", "DNS:rack-1")?
        && certificate(folder.path(), "theirs", "stranger", "DNS:rack-1")?;
    if !made {
        println!("SKIPPED: certificates of nodes: no openssl here");
        return Ok(());
    }
    let file = |name: &str| folder.path().join(name).display().to_string();
    let replica_environment = vec![
        ("CRS_NODE_TLS_CERTIFICATE".to_owned(), file("server.crt")),
        ("CRS_NODE_TLS_KEY".to_owned(), file("server.key")),
        ("CRS_NODE_CLIENT_CA".to_owned(), file("ours.pem")),
    ];
    let mock = Mock::start(Options::default()).await?;
    let fleet =
        Fleet::start(FleetOptions { replicas: 1, nodes: 0, replica_environment, ..FleetOptions::default() })
            .await?;
    fleet.account("first", &mock.url(), UPSTREAM_KEY, json!({})).await?;
    let (_, secret) = fleet.key("client", json!({})).await?;
    let (mut node, relay) = start(&fleet, folder.path(), "ours-node", "rack")?;
    serves(&Talk::new(relay, &secret)).await?;
    let nodes = fleet.admin.get("/api/v2/nodes").await?;
    let listed = &nodes["nodes"][0];
    assert_eq!(
        (listed["id"].as_str(), listed["identity"].as_str()),
        (Some("rack-1"), Some("certificate")),
        "{nodes}"
    );
    let (mut stranger, _) = start(&fleet, folder.path(), "their-node", "stranger")?;
    eventually("a stranger is turned away", Duration::from_secs(15), || async {
        let log = stranger.log();
        (log.contains("the control plane is away") || log.contains("the control plane refused")).then_some(())
    })
    .await?;
    let nodes = fleet.admin.get("/api/v2/nodes").await?;
    assert_eq!(nodes["nodes"].as_array().map(Vec::len), Some(1), "{nodes}");
    for process in [&mut node, &mut stranger] {
        process.terminate()?;
        let status = process.wait(Duration::from_secs(20)).await?;
        assert!(status.success(), "{}", process.log_tail());
    }
    fleet.close().await
}
