//! libFuzzer over the decoder that `CARILLON_FUZZ_TARGET` names. `fuzz/run` builds and starts it.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static TARGET: LazyLock<carillon_fuzz::Target> = LazyLock::new(|| {
    let name = std::env::var("CARILLON_FUZZ_TARGET").unwrap_or_default();
    carillon_fuzz::target(&name).unwrap_or_else(|| {
        let names = carillon_fuzz::TARGETS.map(|(name, _)| name).join(", ");
        eprintln!("CARILLON_FUZZ_TARGET must be one of {names}");
        std::process::exit(2)
    })
});

fuzz_target!(|bytes: &[u8]| TARGET(bytes));
