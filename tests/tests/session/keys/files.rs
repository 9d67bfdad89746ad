//! Keys in files.

use std::path::Path;

use super::*;

/// Writes a secret and lets the name that the hub knows mean it, as a mounted volume does.
fn mounts(folder: &Path, version: &str, secret: &str) {
    let file = folder.join(version);
    std::fs::write(&file, secret).unwrap();
    let draft = folder.join("draft");
    std::os::unix::fs::symlink(&file, &draft).unwrap();
    std::fs::rename(&draft, folder.join("secret")).unwrap();
}

#[tokio::test]
async fn a_secret_in_a_file_changes_while_the_hub_runs() {
    let folder = tempfile::tempdir().unwrap();
    let newer = SECRET.to_uppercase();
    let [old, new] = [SECRET, &newer].map(|secret| signed(secret, None));
    mounts(folder.path(), "1", SECRET);
    let file = Some(folder.path().join("secret"));
    let hub = hub_of(AuthSection { secret_file: file, ..AuthSection::default() }).await;
    let mut stays = enters(&hub, &old).await;
    assert_eq!(greeted(&hub, &new).await, "INVALID_TOKEN");
    mounts(folder.path(), "2", &newer);
    comes_to(&hub, &new, "connected").await;
    assert_eq!(greeted(&hub, &old).await, "INVALID_TOKEN");
    assert!(matches!(stays.asks(Command::Ping(v1::Ping {})).await, Kind::Pong(_)), "until its token ends");

    mounts(folder.path(), "3", "short");
    fails(&hub, 1).await;
    assert_eq!(greeted(&hub, &new).await, "connected", "the keys of before stay");
    std::fs::remove_file(folder.path().join("secret")).unwrap();
    fails(&hub, 2).await;
    assert_eq!(greeted(&hub, &new).await, "connected");
    mounts(folder.path(), "4", SECRET);
    comes_to(&hub, &old, "connected").await;
    assert_eq!(greeted(&hub, &new).await, "INVALID_TOKEN");
    assert!(matches!(stays.asks(refresh(old)).await, Kind::Done(_)));
}

#[tokio::test]
async fn a_public_key_in_a_file_changes_while_the_hub_runs() {
    let folder = tempfile::tempdir().unwrap();
    let [old, new] = [KeyPair::new("a", 1), KeyPair::new("a", 2)];
    let (file, draft) = (folder.path().join("key.pem"), folder.path().join("draft"));
    std::fs::write(&file, old.public_pem()).unwrap();
    let listed = KeySection { public_key_file: Some(file.clone()), ..KeySection::default() };
    let auth = AuthSection { algorithm: Algorithm::EdDsa, keys: vec![listed], ..AuthSection::default() };
    let hub = hub_of(auth).await;
    assert_eq!(greeted(&hub, &old.token(OURS, "alice")).await, "connected");
    std::fs::write(&draft, new.public_pem()).unwrap();
    std::fs::rename(&draft, &file).unwrap();
    comes_to(&hub, &new.token(OURS, "alice"), "connected").await;
    assert_eq!(greeted(&hub, &old.token(OURS, "alice")).await, "INVALID_TOKEN");
    std::fs::write(&draft, "-----BEGIN PUBLIC KEY-----").unwrap();
    std::fs::rename(&draft, &file).unwrap();
    fails(&hub, 1).await;
    assert_eq!(greeted(&hub, &new.token(OURS, "alice")).await, "connected", "the key of before stays");
}
