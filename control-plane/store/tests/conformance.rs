//! Both backends against the suite.

mod embedded {
    store::conformance!(store::suite::Bed::embedded());
}

mod redis {
    store::conformance!(store::suite::Bed::redis());
}

/// All promises on one cluster of three masters, each under a prefix of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cluster() {
    let Some(cluster) = store::testing::redis_cluster().unwrap() else {
        println!("SKIPPED: there is no redis-cli to make a cluster with");
        return;
    };
    let url = cluster.url();
    let mut number = 0;
    let mut bed = || {
        number += 1;
        let prefix = format!("t{number}:");
        let url = url.clone();
        async move { store::suite::Bed::on(&url, &prefix, ()).await }
    };
    store::promises!(store::conformance_sequence, bed());
}
