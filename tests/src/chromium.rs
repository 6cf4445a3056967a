//! A real browser, driven through its WebDriver.

use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Mutex,
};

use serde_json::json;
use tempfile::TempDir;
use thirtyfour::{LoggingPrefsLogLevel, prelude::*};

use crate::{
    hub::{free_port, variable},
    wait::eventually,
};

/// How Chromium gives up requests when an interface of the machine comes or goes
/// or gets an address, as with each container: also those to loopback. There is no
/// switch against it.
const INTERRUPTED: &str = "ERR_NETWORK_CHANGED";

/// A headless Chromium with a profile of its own. Dropping it ends driver and
/// browser.
#[derive(Debug)]
pub struct Chromium {
    /// The session.
    pub page: WebDriver,
    driver: Child,
    profile: TempDir,
    complaints: Mutex<Vec<String>>,
}

/// A page that is not yet what it is to be.
#[derive(Debug)]
#[expect(dead_code, reason = "printed when a test gives up")]
struct Seen {
    url: String,
    text: String,
    /// Everything the browser has complained about so far.
    complaints: Vec<String>,
}

impl Chromium {
    /// Starts driver and browser.
    pub async fn start() -> Self {
        let port = free_port();
        let profile = tempfile::Builder::new().prefix("hub-chromium-").tempdir().unwrap();
        let driver = Command::new("/usr/bin/chromedriver")
            .arg(format!("--port={port}"))
            // Killed, they leave what they put there.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver; cargo xtask test installs it");
        let mut wanted = DesiredCapabilities::chrome();
        for argument in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--ignore-certificate-errors",
            "--window-size=1280,860",
        ] {
            wanted.add_arg(argument).unwrap();
        }
        wanted.add_arg(&format!("--user-data-dir={}", profile.path().display())).unwrap();
        wanted.set_browser_log_level(LoggingPrefsLogLevel::Severe).unwrap();
        wanted.set_binary("/usr/bin/chromium").unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let page = eventually("the browser starts", || {
            let session = WebDriver::new(&url, wanted.clone());
            async { session.await.map_err(|error| error.to_string()) }
        })
        .await;
        Self { page, driver, profile, complaints: Mutex::default() }
    }

    /// Waits for an element.
    pub async fn find(&self, css: &str) -> WebElement {
        eventually(css, || async {
            match self.page.find(By::Css(css)).await {
                Ok(element) => Ok(element),
                Err(_) => Err(self.look().await),
            }
        })
        .await
    }

    /// Waits until the address of the page satisfies `fits`.
    pub async fn arrives(&self, what: &str, fits: impl Fn(&str) -> bool) {
        eventually(what, || async {
            let url = self.page.current_url().await.map(String::from).unwrap_or_default();
            if fits(&url) { Ok(()) } else { Err(self.look().await) }
        })
        .await;
    }

    /// What a person would see who is still waiting. One whom the browser tells
    /// that the network has changed loads the page again, and so do we.
    async fn look(&self) -> Seen {
        let url = self.page.current_url().await.map(String::from).unwrap_or_default();
        let text = match self.page.find(By::Css("body")).await {
            Ok(body) => body.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        let log = self.page.browser_log().await.unwrap_or_default();
        let fresh: Vec<String> = log.into_iter().map(|entry| entry.message).collect();
        if text.contains(INTERRUPTED) || fresh.iter().any(|line| line.contains(INTERRUPTED)) {
            self.page.refresh().await.ok();
        }
        let mut complaints = self.complaints.lock().unwrap();
        complaints.extend(fresh);
        Seen { url, text, complaints: complaints.clone() }
    }

    /// Keeps a picture of the page, if `HUB_SCREENSHOTS` names a directory.
    pub async fn screenshot(&self, name: &str) {
        if let Some(directory) = variable("HUB_SCREENSHOTS") {
            fs::create_dir_all(&directory).unwrap();
            let path = Path::new(&directory).join(format!("{name}.png"));
            self.page.screenshot(&path).await.unwrap();
        }
    }
}

impl Chromium {
    /// Keeps pictures of the page as people may see it: on a desk and on a phone, in
    /// light and in dark, if `HUB_SCREENSHOTS` names a directory.
    pub async fn screenshots(&self, name: &str) {
        if variable("HUB_SCREENSHOTS").is_none() {
            return;
        }
        let tools = self.page.cdp();
        let command = async |name: &str, parameters: serde_json::Value| {
            tools.send_raw(name, parameters).await.unwrap();
        };
        for (device, width, height, mobile) in [("", 1280, 860, false), ("-phone", 390, 844, true)]
        {
            let size = json!({
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile,
            });
            command("Emulation.setDeviceMetricsOverride", size).await;
            for scheme in ["light", "dark"] {
                let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
                command("Emulation.setEmulatedMedia", json!({ "features": [feature] })).await;
                let suffix = if scheme == "dark" { "-dark" } else { "" };
                self.screenshot(&format!("{name}{device}{suffix}")).await;
            }
        }
        command("Emulation.clearDeviceMetricsOverride", json!({})).await;
        command("Emulation.setEmulatedMedia", json!({ "features": [] })).await;
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // The library would otherwise wait for a driver that is gone.
        self.page.clone().leak().ok();
        self.driver.kill().ok();
        self.driver.wait().ok();
        // The browser does not end with its driver. All its processes, and no
        // others, have our profile in their command line.
        let profile = self.profile.path().display().to_string();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&profile) {
                Command::new("kill")
                    .arg("-KILL")
                    .arg(entry.file_name())
                    .stderr(Stdio::null())
                    .status()
                    .ok();
            }
        }
    }
}
