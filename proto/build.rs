//! Compiles `carillon/v1/*.proto` in pure Rust (protox), so that nobody needs `protoc`.

use std::error::Error;
use std::path::{Path, PathBuf};
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
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let encoded = compiler.encode_file_descriptor_set();
    fs::write(out.join("carillon.v1.bin"), &encoded)?;
    pbjson_build::Builder::new().register_descriptors(&encoded)?.btree_map(["."]).build(&[".carillon.v1"])?;
    let serde = out.join("carillon.v1.serde.rs");
    open_enums(&serde)?;
    fs::write(&serde, named_oneofs(&fs::read_to_string(&serde)?))?;

    compiler.include_source_info(true);
    tonic_prost_build::configure().bytes(".").btree_map(".").compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}

/// Enums are open in canonical JSON: a value that is not known is a number. pbjson fails at one, writing and reading; what
/// it generates for that is replaced by `src/open_enum.rs`. A form of it that is not known here fails the build.
fn open_enums(path: &Path) -> Result<(), Box<dyn Error>> {
    let code = fs::read_to_string(path)?;
    let mut open = String::with_capacity(code.len());
    let mut lines = code.lines().peekable();
    while let Some(line) = lines.next() {
        if lines.next_if(|next| next.contains("Invalid variant")).is_some() {
            open.push_str(&written(line).ok_or(line)?);
        } else if line.contains(" as i32") {
            open.push_str(&read(line).ok_or(line)?);
        } else {
            // What closes the closure over a list of them: it fails no more.
            open.push_str(&line.replace("<std::result::Result<Vec<_>, _>>()?", "<Vec<_>>()"));
        }
        open.push('\n');
    }
    if open.contains("Invalid variant") {
        return Err("pbjson writes an enum in a way that is not known".into());
    }
    fs::write(path, open)?;
    Ok(())
}

/// Where a second member of a oneof comes, pbjson says that this member was given twice. It was given once, beside another: what
/// is said names the oneof.
fn named_oneofs(code: &str) -> String {
    let mut named = String::with_capacity(code.len());
    let mut variable = "";
    for line in code.lines() {
        let trimmed = line.trim();
        if let Some(rest) = trimmed.strip_prefix("if ") {
            variable = rest.strip_suffix("__.is_some() {").unwrap_or_default();
        }
        let said = trimmed.strip_prefix("return Err(serde::de::Error::duplicate_field(\"");
        let member = said.and_then(|said| said.strip_suffix("\"));"));
        let oneof = variable.trim_start_matches("r#");
        match member {
            Some(member) if snake(member) != oneof => {
                let says = format!("more than one member of `{oneof}`");
                named.extend(["return Err(serde::de::Error::custom(\"", &says, "\"));"]);
            }
            _ => named.push_str(line),
        }
        named.push('\n');
    }
    named
}

/// A field's name in JSON as it is in protobuf.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

/// `let v = Role::try_from(self.role)`, or `Role::try_from(v)` in a closure over a list.
fn written(line: &str) -> Option<String> {
    let (before, value) = line.split_once("::try_from(")?;
    let (before, name) = before.rsplit_once(' ')?;
    let value = value.strip_suffix(')')?;
    let end = if before.ends_with('=') { ";" } else { "" };
    Some(format!("{before} crate::open_enum::Open::<{name}>::from({value}){end}"))
}

/// `role__ = Some(map_.next_value::<Role>()? as i32);`, or the same of a list.
fn read(line: &str) -> Option<String> {
    let (field, rest) = line.trim().split_once("__ = Some(map_.next_value::<")?;
    let (name, rest) = rest.split_once(">()?")?;
    let (reader, name) = match (rest, name.strip_prefix("Vec<").and_then(|list| list.strip_suffix('>'))) {
        (" as i32);", None) => ("Value", name),
        (".into_iter().map(|x| x as i32).collect());", Some(name)) => ("Values", name),
        _ => return None,
    };
    let seed = format!("crate::open_enum::{reader}::<{name}>::of(\"{field}\")");
    Some(format!("{field}__ = Some(map_.next_value_seed({seed})?);"))
}
