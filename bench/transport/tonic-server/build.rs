//! The code of the service in ../tokens.proto, written without protoc, so that none has to be installed.
use tonic_build::manual::{Builder, Method, Service};

fn main() {
    let generate = Method::builder()
        .name("generate")
        .route_name("Generate")
        .input_type("crate::GenerateRequest")
        .output_type("crate::TokenChunk")
        .codec_path("tonic_prost::ProstCodec")
        .server_streaming()
        .build();
    let tokens = Service::builder()
        .name("Tokens")
        .package("tokenwire.bench")
        .method(generate)
        .build();
    Builder::new().build_client(false).compile(&[tokens]);
    println!("cargo::rerun-if-changed=Cargo.lock");
    println!("cargo::rustc-env=SOFTWARE=tonic {}, h2 {}", locked("tonic"), locked("h2"));
}

/// The version that Cargo.lock has of a package.
fn locked(package: &str) -> String {
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock");
    let (_, rest) = lock
        .split_once(&format!("name = \"{package}\"\nversion = \""))
        .expect("a package of Cargo.lock");
    rest.split('"').next().expect("a version").to_owned()
}
