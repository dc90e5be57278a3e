//! Puts the built page where the program embeds it from, or a page that says how to build it.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

const MISSING: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>parlor: the page was not built</title>
<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem;color-scheme:light dark}</style>
<h1>The page is not here yet</h1>
<p>parlor runs, but its web page was not built when the program was. Stop it and type <code>./just run</code>,
which builds both, or <code>./just web</code> and then <code>cargo build -p parlor</code>.</p>
<p>Everything else works: try <code>parlor talk</code>.</p>
"#;

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("page");
    let dist = manifest.join("../web/dist");
    // Watched even while it does not exist, so that a first web build is noticed.
    println!("cargo:rerun-if-changed={}", dist.display());
    if out.exists() {
        fs::remove_dir_all(&out)?;
    }
    fs::create_dir_all(&out)?;
    if dist.join("index.html").is_file() {
        copy(&dist, &out)
    } else {
        fs::write(out.join("index.html"), MISSING)
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
