//! What the set-up provides for tests and a machine may lack: with `CI=true` nothing may be lacking.

use std::path::PathBuf;

/// The user's cache folder of parlor.
pub(crate) fn cache() -> PathBuf {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    variable("PARLOR_CACHE").unwrap_or_else(|| {
        let caches = variable("XDG_CACHE_HOME")
            .unwrap_or_else(|| variable("HOME").expect("a home").join(".cache"));
        caches.join("parlor")
    })
}

/// The program, if it is there; otherwise says which tests are left out.
pub(crate) fn found(program: PathBuf, tests: &str, script: &str) -> Option<PathBuf> {
    if program.is_file() {
        return Some(program);
    }
    let said = format!(
        "{} is not there, so {tests} are left out; type: {script}",
        program.display()
    );
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{said}");
    eprintln!("{said}");
    None
}
