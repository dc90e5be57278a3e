//! Compiles the contracts without needing `protoc`.

use prost::Message as _;
use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = std::env::var("CARGO_MANIFEST_DIR")?;
    let root = Path::new(&root);
    let contracts = ["tts.proto", "stt.proto", "worker.proto"];
    for contract in contracts {
        println!("cargo::rerun-if-changed={contract}");
    }
    let descriptors = protox::compile(contracts.map(|contract| root.join(contract)), [root])?;
    // What a worker tells of itself to whoever asks by reflection.
    let out = std::env::var("OUT_DIR")?;
    let path = Path::new(&out).join("descriptors.bin");
    std::fs::write(path, descriptors.encode_to_vec())?;
    // A frame's bytes are shared, not copied, on their way from the wire.
    tonic_prost_build::configure()
        .bytes(".")
        .compile_fds(descriptors)?;
    Ok(())
}
