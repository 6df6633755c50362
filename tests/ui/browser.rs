//! The pages in a real browser: Chromium, driven as `WebDriver` (W3C) has it.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    harness::{Place, Shown},
    needs::{self, Need},
    program::PATIENCE,
};

const PAGES: [&str; 9] = [
    "/",
    "/hosts",
    "/hosts/svc1.internal.com",
    "/hosts/nosuch.internal.com",
    "/changes",
    "/migration",
    "/problems",
    "/forwarding",
    "/about",
];

/// Looks for what keeps people from reading a page.
const AXE: &str = "axe.min.js";

/// A browser of its own, which ends with the test.
struct Browser {
    driver: Child,
    at: SocketAddr,
    session: String,
}

impl Browser {
    /// `None` where this machine has none.
    fn start() -> Option<Self> {
        let programs = ["chromium --version", "chromedriver --version"];
        if !needs::met(&programs.map(Need::Program)) {
            return None;
        }
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it is there");
        let mut lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let (_, port) = line.split_once("started successfully on port ")?;
            port.trim_end_matches('.').parse().ok()
        });
        // What it says from here on nobody reads.
        thread::spawn(move || lines.for_each(drop));
        let mut browser = Self {
            driver,
            at: SocketAddr::from(([127, 0, 0, 1], port.expect("it tells its port"))),
            session: String::new(),
        };
        let options = json!({"args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync",
            "--disable-dev-shm-usage",
        ]});
        let wanted = json!({
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let session = browser.ask(
            "/session",
            &json!({"capabilities": {"alwaysMatch": wanted}}),
        );
        let id = session["sessionId"].as_str().expect("a session");
        browser.session = format!("/session/{id}");
        Some(browser)
    }

    /// Tells the driver something; what it answers.
    #[track_caller]
    fn ask(&self, path: &str, body: &Value) -> Value {
        let mut stream = TcpStream::connect(self.at).expect("the driver listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("above 0");
        let body = body.to_string();
        let request = format!(
            "POST {}{path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.session,
            self.at,
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("it listens");
        let mut stream = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).expect("an answer");
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a number");
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the whole answer");
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path}: {value:#}");
        value
    }

    fn open(&self, server: &Shown, path: &str) {
        let url = format!("http://{}{path}", server.ui);
        self.ask("/url", &json!({"url": url}));
    }

    /// What a script in the page returns.
    fn run(&self, script: &str) -> Value {
        self.ask("/execute/sync", &json!({"script": script, "args": []}))
    }

    fn tell_devtools(&self, command: &str, parameters: &Value) {
        self.ask(
            "/goog/cdp/execute",
            &json!({"cmd": command, "params": parameters}),
        );
    }

    /// From now on pages are shown on a screen of this width, in this colour scheme.
    fn look_as(&self, width: u32, scheme: &str) {
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.tell_devtools("Emulation.setDeviceMetricsOverride", &screen);
        let wanted = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.tell_devtools("Emulation.setEmulatedMedia", &wanted);
    }

    /// Opens every page on a phone and on a desk, in both colour schemes, and has `look` look at it.
    fn look_at_every_page(&self, server: &Shown, look: impl Fn(&str, u32, &str)) {
        for width in [390, 1280] {
            for scheme in ["light", "dark"] {
                self.look_as(width, scheme);
                for page in PAGES {
                    self.open(server, page);
                    look(page, width, scheme);
                }
            }
        }
    }

    /// What the console said since it was last asked, but for what no page can help.
    fn complaints(&self) -> Vec<String> {
        let log = self.ask("/se/log", &json!({"type": "browser"}));
        let entries = log.as_array().expect("a list").iter();
        let texts = entries.map(|entry| entry["message"].to_string());
        // That a name is unknown is said with 404, as it should be.
        texts
            .filter(|text| !text.contains("nosuch.internal.com"))
            .collect()
    }

    #[track_caller]
    fn wait_for(&self, what: &str, script: &str) {
        let start = Instant::now();
        while self.run(script) != json!(true) {
            assert!(start.elapsed() < PATIENCE, "waited too long for {what}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver ends the browser when its session ends.
        if let Ok(mut stream) = TcpStream::connect(self.at) {
            let end = format!(
                "DELETE {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
                self.session, self.at
            );
            let _ = stream.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = stream.write_all(end.as_bytes());
            let _ = stream.read(&mut [0; 64]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

#[test]
fn every_page_fits_a_phone_and_a_desk_and_loads_nothing_from_elsewhere() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let place = Place::with_zones();
    let server = place.serve(&[]);
    browser.look_at_every_page(&server, |page, width, scheme| {
        let seen = browser.run(
            "const root = document.documentElement;
             const others = performance.getEntriesByType('resource').filter((each) => new URL(each.name).origin !== location.origin);
             return {
                 scrolls: root.scrollWidth > root.clientWidth,
                 others: others.length,
                 styled: getComputedStyle(document.body).margin,
                 paper: getComputedStyle(document.body).backgroundColor,
                 heading: document.querySelectorAll('h1').length,
                 unnamed: [...document.querySelectorAll('input, select')].filter((each) => !each.labels?.length && each.type !== 'hidden').length,
                 heads: [...document.querySelectorAll('th')].filter((each) => !each.scope).length,
             };",
        );
        let what = format!("{page} at {width} px, {scheme}: {seen}");
        assert_eq!(seen["scrolls"], false, "{what}");
        assert_eq!(seen["others"], 0, "{what}");
        assert_eq!(seen["styled"], "0px", "{what}");
        assert_eq!(seen["heading"], 1, "{what}");
        assert_eq!(
            (&seen["unnamed"], &seen["heads"]),
            (&json!(0), &json!(0)),
            "{what}"
        );
        let paper = if scheme == "dark" {
            "rgb(13, 17, 23)"
        } else {
            "rgb(255, 255, 255)"
        };
        assert_eq!(seen["paper"], paper, "{what}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{what}");
    });
}

#[test]
fn axe_finds_nothing_against_any_page() {
    if !needs::met(&[Need::Fetched(AXE, "scripts/axe.sh")]) {
        return;
    }
    let Some(browser) = Browser::start() else {
        return;
    };
    let axe = fs::read_to_string(needs::fetched(AXE)).expect("a text");
    let place = Place::with_zones();
    let server = place.serve(&["--upstream", "127.0.0.1:1"]);
    let vms = place.read("zones/ns1/vms.yaml");
    place.write("zones/ns1/vms.yaml", &vms.replace("2.2.2.2", "2.2.2.256"));
    server.wait_for("/problems", |problems| problems["errors"] == 1);
    browser.look_at_every_page(&server, |page, width, scheme| {
        browser.run(&axe);
        let found = browser.ask(
            "/execute/async",
            &json!({
                "script": "const done = arguments[0]; axe.run().then((found) => done(found.violations.map((each) => `${each.id}: ${each.nodes[0].html}`)));",
                "args": [],
            }),
        );
        assert_eq!(found, json!([]), "{page} at {width} px, {scheme}");
    });
}

#[test]
fn a_page_follows_changes_and_keeps_what_a_person_types() {
    let Some(browser) = Browser::start() else {
        return;
    };
    let place = Place::with_zones();
    let server = place.serve(&[]);
    browser.open(&server, "/hosts?q=svc1");
    browser.run(
        "const box = document.querySelector('input[name=q]'); box.focus(); box.value = 'svc1 and';",
    );
    let row = "document.querySelector('#hosts tbody tr').innerText";
    browser.wait_for("the row", &format!("return {row}.includes('192.0.2.11')"));
    server.server.wait("a stream", || {
        server.server.metric::<u64>("meshdns_ui_streams") == 1
    });
    let pods = place.read("zones/ns1/pods.yaml");
    place.write(
        "zones/ns1/pods.yaml",
        &pods.replace("status: \"False\"", "status: \"True\""),
    );
    browser.wait_for("the third Pod", &format!("return {row}.includes('3 Pods')"));
    let kept = browser.run(
        "const box = document.querySelector('input[name=q]'); return [box.value, document.activeElement === box];",
    );
    assert_eq!(kept, json!(["svc1 and", true]));
    browser.open(&server, "/hosts/svc1.internal.com");
    server.server.wait("the stream of the other page", || {
        server.server.metric::<u64>("meshdns_ui_streams") == 1
    });
    let vms = place.read("zones/ns1/vms.yaml");
    place.write(
        "zones/ns1/vms.yaml",
        &vms.replace("status: \"True\"", "status: \"False\""),
    );
    browser.wait_for(
        "the reason",
        "return document.querySelector('#host-0').innerText.includes('condition Healthy is False')",
    );
    browser.wait_for(
        "the history",
        "return document.querySelector('#history').innerText.includes('True → False')",
    );
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
