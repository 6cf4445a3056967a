//! Images for a machine that reaches no registry.

use bytes::Bytes;
use tar::{Builder, Header};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::UnixStream,
};

use super::Machine;
use crate::docker;

impl Machine {
    /// Brings it an image that the engine of this machine has.
    pub async fn bring_image(&self, name: &str) {
        let mut from = BufReader::new(UnixStream::connect(docker::SOCKET).await.unwrap());
        let ask = format!("GET /images/{name}/get HTTP/1.0\r\nHost: docker\r\n\r\n");
        from.write_all(ask.as_bytes()).await.unwrap();
        assert_eq!(head(&mut from).await, 200, "{name} is there");

        let mut to = BufReader::new(UnixStream::connect(self.socket()).await.unwrap());
        to.write_all(
            b"POST /images/load?quiet=1 HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\
              Content-Type: application/x-tar\r\nTransfer-Encoding: chunked\r\n\r\n",
        )
        .await
        .unwrap();
        let mut part = vec![0; 1 << 20];
        loop {
            // The answer in HTTP/1.0 ends with the connection.
            let count = from.read(&mut part).await.unwrap();
            to.write_all(format!("{count:x}\r\n").as_bytes()).await.unwrap();
            to.write_all(&part[..count]).await.unwrap();
            to.write_all(b"\r\n").await.unwrap();
            if count == 0 {
                break;
            }
        }
        assert_eq!(head(&mut to).await, 200);
        to.read_to_end(&mut part).await.unwrap();
        assert!(self.docker().await.image_exists(name).await.unwrap(), "{name}");
    }

    /// Makes an image of almost nothing, for a deployment where nobody starts a
    /// server.
    pub async fn make_image(&self, name: &str) {
        let mut root = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(0);
        root.append_data(&mut header, "nothing", std::io::empty()).unwrap();
        let root = Bytes::from(root.into_inner().unwrap());
        let changes = ["CMD [\"/nothing\"]"];
        self.docker().await.import(root, name, &changes).await.unwrap();
    }
}

/// Reads the head of an answer; its status.
async fn head(from: &mut BufReader<UnixStream>) -> u16 {
    let mut status = None;
    loop {
        let mut line = String::new();
        from.read_line(&mut line).await.unwrap();
        let line = line.trim_end();
        if line.is_empty() {
            return status.expect("an answer");
        }
        status = status.or_else(|| line.split(' ').nth(1)?.parse().ok());
    }
}
