//! Whether this processor can do what whisper.cpp was built for.

use whisper_rs::SystemInfo;

/// A name, whether it was built in, and whether it is there.
type Wanted = (&'static str, bool, fn() -> bool);

/// What this processor lacks that whisper.cpp was built for; none: it can run.
pub fn lacking() -> Option<String> {
    // Compiled in, so asking needs nothing of it.
    let built_for = SystemInfo::default();
    let wanted: [Wanted; 4] = [
        ("AVX", built_for.avx, || has("avx")),
        ("AVX2", built_for.avx2, || has("avx2")),
        ("FMA", built_for.fma, || has("fma")),
        ("F16C", built_for.f16c, || has("f16c")),
    ];
    let lacking: Vec<&str> = wanted
        .into_iter()
        .filter(|(_, is_wanted, is_there)| *is_wanted && !is_there())
        .map(|(name, _, _)| name)
        .collect();
    (!lacking.is_empty()).then(|| lacking.join(", "))
}

#[cfg(target_arch = "x86_64")]
fn has(feature: &str) -> bool {
    match feature {
        "avx" => std::arch::is_x86_feature_detected!("avx"),
        "avx2" => {
            // Comes with it on every processor, and is built in with it.
            std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("bmi2")
        }
        "fma" => std::arch::is_x86_feature_detected!("fma"),
        "f16c" => std::arch::is_x86_feature_detected!("f16c"),
        _ => false,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn has(_: &str) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_processor_is_asked_for_what_was_built_in() {
        // Whoever builds and tests elsewhere than here gets a message; the one who runs these tests needs none.
        assert_eq!(lacking(), None);
    }
}
