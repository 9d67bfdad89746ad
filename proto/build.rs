//! Compiles `carillon/v1/*.proto` in pure Rust (protox), so that nobody needs `protoc`.

use std::error::Error;
use std::path::PathBuf;
use std::{env, fs};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=carillon");

    let mut files = fs::read_dir("carillon/v1")?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<Vec<PathBuf>, _>>()?;
    files.retain(|path| path.extension().is_some_and(|extension| extension == "proto"));
    files.sort();

    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).open_files(&files)?;

    // Reflection serves these bytes; without the comments they are a third of the size.
    let descriptors = PathBuf::from(env::var("OUT_DIR")?).join("carillon.v1.bin");
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(descriptors, &encoded)?;
    pbjson_build::Builder::new().register_descriptors(&encoded)?.btree_map(["."]).build(&[".carillon.v1"])?;

    compiler.include_source_info(true);
    tonic_prost_build::configure().bytes(".").btree_map(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
