//! The image of the consumer daemon: nothing but its static binary.

use std::fs;

use bollard::query_parameters::CreateImageOptionsBuilder;
use bytes::Bytes;
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use crate::engine::Engine;
use crate::{Daemons, Error};

/// Puts the image into the engine, unless it is there, and returns its name.
///
/// The image holds `/consumer-d` and a writable `/tmp`; it names no command. Its tag is the start
/// of the binary's SHA-256.
///
/// # Errors
/// When the binary cannot be read, or the engine refuses the image.
pub async fn consumer(engine: &Engine, daemons: &Daemons) -> Result<String, Error> {
    let path = daemons.consumer();
    let binary = fs::read(&path).map_err(Error::file("read", &path))?;
    let (repository, tag) = (
        "ics-monitor/consumer-d",
        hex::encode(&Sha256::digest(&binary)[..6]),
    );
    let name = format!("{repository}:{tag}");
    if engine.client().inspect_image(&name).await.is_err() {
        let files = root(&binary).map_err(Error::file("pack", &path))?;
        let options = CreateImageOptionsBuilder::default();
        let options = options.from_src("-").repo(repository).tag(&tag).build();
        let files = bollard::body_full(Bytes::from(files));
        let progress = engine
            .client()
            .create_image(Some(options), Some(files), None);
        let imported = progress.try_for_each(async |_| Ok(())).await;
        imported.map_err(Error::engine(format!("import image {name}")))?;
    }
    Ok(name)
}

/// Packs the root folder of the image.
fn root(binary: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut folder = tar::Header::new_gnu();
    folder.set_entry_type(tar::EntryType::Directory);
    folder.set_size(0);
    folder.set_mode(0o1777);
    archive.append_data(&mut folder, "tmp/", std::io::empty())?;
    let mut file = tar::Header::new_gnu();
    file.set_size(binary.len() as u64);
    file.set_mode(0o755);
    archive.append_data(&mut file, "consumer-d", binary)?;
    archive.into_inner()
}
