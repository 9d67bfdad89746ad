//! What files may hold, and what becomes of those that change.

use std::fs;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use super::files::Watched;
use super::*;

struct Pair {
    folder: TempDir,
    tls: ServerTls,
}

impl Pair {
    fn made() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        let tls = ServerTls { certificate, key, clients: None, protocol: Protocol::Http2 };
        let pair = Self { folder, tls };
        pair.write(&other(), true, true);
        pair
    }

    fn write(&self, made: &CertifiedKey<rcgen::KeyPair>, certificate: bool, key: bool) {
        if certificate {
            fs::write(&self.tls.certificate, made.cert.pem()).unwrap();
        }
        if key {
            fs::write(&self.tls.key, made.signing_key.serialize_pem()).unwrap();
        }
    }

    fn problem(&self) -> String {
        let error = Acceptor::new(&self.tls).err().expect("it is wrong");
        error.to_string().replace(&format!("{}/", self.folder.path().display()), "")
    }
}

fn other() -> CertifiedKey<rcgen::KeyPair> {
    generate_simple_self_signed(["localhost".to_owned()]).unwrap()
}

#[test]
fn what_is_wrong_with_files_is_said_with_their_names() {
    let pair = Pair::made();
    assert!(Acceptor::new(&pair.tls).is_ok());
    pair.write(&other(), true, false);
    assert_eq!(pair.problem(), "key.pem: not the key of the certificate");
    fs::write(&pair.tls.key, "-----BEGIN PRIVATE KEY-----\nsecret\n").unwrap();
    assert_eq!(pair.problem(), "key.pem: holds no private key in PEM");
    fs::write(&pair.tls.certificate, "nothing").unwrap();
    assert_eq!(pair.problem(), "cert.pem: holds no certificate in PEM");
    fs::remove_file(&pair.tls.certificate).unwrap();
    assert!(pair.problem().starts_with("cert.pem: cannot be read: "));
}

#[test]
fn client_authorities_are_read_too() {
    let mut pair = Pair::made();
    let ca = pair.folder.path().join("ca.pem");
    fs::write(&ca, "nothing").unwrap();
    pair.tls.clients = Some(ClientCertificates { ca: ca.clone(), required: true });
    assert_eq!(pair.problem(), "ca.pem: holds no certificate in PEM");
    fs::write(&ca, other().cert.pem()).unwrap();
    assert!(Acceptor::new(&pair.tls).is_ok());
}

#[test]
fn a_client_names_what_it_trusts_and_shows_a_pair() {
    let pair = Pair::made();
    let ServerTls { certificate, key, .. } = pair.tls.clone();
    let tls = ClientTls { ca: Some(certificate.clone()), identity: Some((certificate, key)) };
    assert!(Connector::new(&tls).is_ok());
    pair.write(&other(), false, true);
    let error = Connector::new(&tls).err().unwrap().to_string();
    assert!(error.ends_with("key.pem: not the key of the certificate"), "{error}");
}

#[test]
fn what_changes_is_taken_when_it_is_whole() {
    let pair = Pair::made();
    let (tls, files) = (pair.tls.clone(), vec![pair.tls.certificate.clone(), pair.tls.key.clone()]);
    let watched = Watched::new(files, Box::new(move |contents| server::build(&tls, contents))).unwrap();
    let first = watched.get();
    watched.look();
    assert!(Arc::ptr_eq(&first, &watched.get()), "nothing has changed");
    let made = other();
    pair.write(&made, true, false);
    watched.look();
    assert!(Arc::ptr_eq(&first, &watched.get()), "the key is still the other one's");
    pair.write(&made, false, true);
    watched.look();
    let second = watched.get();
    assert!(!Arc::ptr_eq(&first, &second));
    fs::remove_file(&pair.tls.key).unwrap();
    watched.look();
    assert!(Arc::ptr_eq(&second, &watched.get()), "without files it goes on");
}
