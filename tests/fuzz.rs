//! The fuzz targets with their seeds, without a fuzzer: what `cargo fuzz` runs for hours must still compile and hold.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[allow(unreachable_pub)] // the fuzz targets import it
#[path = "../fuzz/src/lib.rs"]
mod bodies;

type Check = fn(&[u8]);

/// Every fuzz target, by its name.
const TARGETS: [(&str, Check); 6] = [
    ("classify", bodies::classify::check),
    ("config", bodies::config::check),
    ("reply", bodies::reply::check),
    ("request", bodies::request::check),
    ("size", bodies::size::check),
    ("sse", bodies::sse::check),
];

/// The files of a folder of the fuzz package.
fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("a folder can be listed").path())
        .collect()
}

#[test]
fn every_fuzz_target_holds_for_its_seeds() {
    for (name, check) in TARGETS {
        let seeds = files(&format!("seeds/{name}"));
        assert!(seeds.len() >= 3, "{name} has {} seeds", seeds.len());
        for seed in seeds {
            // Shown where the check panics.
            println!("{}", seed.display());
            check(&fs::read(&seed).expect("a seed can be read"));
        }
    }
}

#[test]
fn every_fuzz_target_is_one_of_those_that_are_run_here() {
    let here: BTreeSet<_> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let there: BTreeSet<_> = files("fuzz_targets")
        .iter()
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(there, here);
    for name in here {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fuzz/fuzz_targets/{name}.rs"));
        let source = fs::read_to_string(path).expect("a target can be read");
        assert!(
            source.contains(&format!("azure_openai_blaster_fuzz::{name}::check(input)")),
            "{name} does something else than is run here:\n{source}"
        );
    }
}
