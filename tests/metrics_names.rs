//! Names, help texts and label sets of the metrics, as dashboards and alerts know them.
//! `UPDATE_GOLDEN=1 cargo test` writes the golden file anew.

use std::fs;

use nexus_dirsync::metrics::Metrics;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/metrics.txt");

/// The head of each family and its label sets, without values.
fn shape(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.contains("process_"));
    let lines = lines.filter(|line| !line.contains("_bucket{") || line.contains("le=\"+Inf\""));
    let names = lines.map(|line| match line.rsplit_once(' ') {
        Some((series, _)) if !line.starts_with('#') => series,
        _ => line,
    });
    let names = names.map(|line| {
        if line.starts_with("dirsync_build_info") {
            "dirsync_build_info{revision,version}"
        } else {
            line
        }
    });
    names.collect::<Vec<_>>().join("\n") + "\n"
}

#[test]
fn every_series_exists_from_the_start() {
    let text = Metrics::new().render();
    assert!(text.contains("process_resident_memory_bytes"), "{text}");
    let shape = shape(&text);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(GOLDEN, &shape).expect("the golden file can be written");
    }
    let golden = fs::read_to_string(GOLDEN).expect("the golden file is there");
    assert_eq!(shape, golden, "UPDATE_GOLDEN=1 writes it anew");
}

#[test]
fn labels_are_closed() {
    let metrics = Metrics::new();
    metrics.graph_request("/users/0b1f6c1e", Some(200), None);
    metrics.graph_retry("whatever");
    metrics.graph_waited(2.0);
    metrics.graph_request("users", None, None);
    let text = metrics.render();
    assert!(!text.contains("0b1f6c1e") && !text.contains("whatever"), "{text}");
    for line in [
        "dirsync_graph_requests_total{endpoint=\"other\",status=\"200\"} 1\n",
        "dirsync_graph_requests_total{endpoint=\"users\",status=\"error\"} 1\n",
        "dirsync_graph_retries_total{reason=\"other\"} 1\n",
        "dirsync_graph_wait_seconds_total 2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
}
