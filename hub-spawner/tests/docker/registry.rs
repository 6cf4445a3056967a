//! A registry with one image, in this process: as much of the distribution API
//! as a daemon needs to pull. Daemons speak plain HTTP to 127.0.0.0/8.

use std::{cell::RefCell, collections::HashMap};

use futures_util::{StreamExt, stream::FuturesUnordered};
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

const MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// The registry. It answers while [`Registry::serve`] is polled.
#[derive(Debug)]
pub(crate) struct Registry {
    listener: TcpListener,
    pages: HashMap<String, (&'static str, Vec<u8>)>,
    /// The paths asked for, in order.
    pub(crate) asked: RefCell<Vec<String>>,
    /// Whether layers are given out.
    pub(crate) open: watch::Sender<bool>,
    /// The header of those who may have anything, with the first letters in lower case;
    /// `None`: everybody.
    pub(crate) login: Option<String>,
    /// `127.0.0.1:port/lab`
    pub(crate) repository: String,
    pub(crate) digest: String,
}

impl Registry {
    /// A registry whose image `lab:4` has a layer nobody else has.
    pub(crate) async fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let layer = layer(&address);
        let config = format!(
            r#"{{"architecture":"amd64","os":"linux","config":{{"Cmd":["/x"]}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
            digest(&layer)
        );
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{MANIFEST}","config":{{"mediaType":"application/vnd.docker.container.image.v1+json","size":{},"digest":"{}"}},"layers":[{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","size":{},"digest":"{}"}}]}}"#,
            config.len(),
            digest(config.as_bytes()),
            layer.len(),
            digest(&layer)
        );
        let manifest_digest = digest(manifest.as_bytes());
        let blob = |content: &[u8]| format!("/v2/lab/blobs/{}", digest(content));
        let binary = "application/octet-stream";
        let pages = HashMap::from([
            ("/v2/".to_owned(), ("application/json", b"{}".to_vec())),
            ("/v2/lab/manifests/4".to_owned(), (MANIFEST, manifest.clone().into_bytes())),
            (format!("/v2/lab/manifests/{manifest_digest}"), (MANIFEST, manifest.into_bytes())),
            (blob(config.as_bytes()), (binary, config.into_bytes())),
            (blob(&layer), (binary, layer)),
        ]);
        Self {
            listener,
            pages,
            asked: RefCell::default(),
            open: watch::Sender::new(true),
            login: None,
            repository: format!("{address}/lab"),
            digest: manifest_digest,
        }
    }

    /// Answers for ever.
    pub(crate) async fn serve(&self) {
        let mut conversations = FuturesUnordered::new();
        loop {
            tokio::select! {
                Ok((stream, _)) = self.listener.accept() => conversations.push(self.answer(stream)),
                Some(_) = conversations.next() => {}
            }
        }
    }

    /// Answers the requests of one connection.
    async fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await? == 0 {
                return Ok(());
            }
            let mut words = line.split(' ');
            let head_only = words.next() == Some("HEAD");
            let path = words.next().unwrap_or_default().to_owned();
            let mut header = String::new();
            let mut known = self.login.is_none();
            while stream.read_line(&mut header).await? > 2 {
                let (name, value) = header.trim_end().split_once(": ").unwrap_or_default();
                let value = value.strip_prefix("Basic ").unwrap_or_default();
                let line = format!("{}: basic {value}", name.to_lowercase());
                known |= self.login.as_ref().is_some_and(|login| *login == line);
                header.clear();
            }
            if !known {
                let body = br#"{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized"}]}"#;
                let head = format!(
                    "HTTP/1.1 401 Unauthorized\r\nWww-Authenticate: Basic realm=\"lab\"\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\
                     Docker-Distribution-Api-Version: registry/2.0\r\n\r\n",
                    body.len()
                );
                stream.write_all(head.as_bytes()).await?;
                if !head_only {
                    stream.write_all(body).await?;
                }
                stream.flush().await?;
                continue;
            }
            self.asked.borrow_mut().push(path.clone());
            if path.contains("/blobs/") {
                let _ = self.open.subscribe().wait_for(|open| *open).await;
            }
            let (status, (kind, body)) = match self.pages.get(&path) {
                Some(page) => ("200 OK", page.clone()),
                None => {
                    let body =
                        br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#;
                    ("404 Not Found", ("application/json", body.to_vec()))
                }
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
                 Docker-Distribution-Api-Version: registry/2.0\r\nDocker-Content-Digest: {}\r\n\r\n",
                body.len(),
                digest(&body)
            );
            stream.write_all(head.as_bytes()).await?;
            if !head_only {
                stream.write_all(&body).await?;
            }
            stream.flush().await?;
        }
    }
}

fn layer(content: &str) -> Vec<u8> {
    let mut layer = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    layer.append_data(&mut header, "x", content.as_bytes()).expect("writing to memory");
    layer.into_inner().expect("writing to memory")
}

fn digest(content: &[u8]) -> String {
    let hex: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
