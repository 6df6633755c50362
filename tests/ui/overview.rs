//! Whether all is well, how far the move is, what is wrong, and who answers for other names.

use serde_json::Value;

use crate::harness::Place;

fn word(overview: &Value, lamp: &str) -> String {
    let mut lamps = overview["lamps"].as_array().expect("a list").iter();
    let lamp = lamps
        .find(|each| each["name"] == lamp)
        .expect("there are three");
    lamp["word"].as_str().expect("a word").to_owned()
}

#[test]
fn three_lamps_tell_in_words_whether_all_is_well() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    for path in ["", "/"] {
        let overview = server.api(path);
        let names: Vec<&Value> = overview["lamps"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|lamp| &lamp["name"])
            .collect();
        assert_eq!(names, ["data", "answers", "traffic"]);
        for lamp in ["data", "answers", "traffic"] {
            assert_eq!(word(&overview, lamp), "ok", "{lamp}");
        }
    }
    let page = server.page("/").body;
    let lamps = page.split("id=\"lamps\"").nth(1).expect("the lamps");
    let lamps = lamps.split("</ul>").next().expect("they end");
    assert_eq!(lamps.matches("ok</span>").count(), 3, "{lamps}");
}

#[test]
fn a_host_whose_servers_are_all_down_is_empty_and_never_ok() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let pods = place.read("zones/ns1/pods.yaml");
    place.write(
        "zones/ns1/pods.yaml",
        &pods.replace("\"True\"", "\"False\""),
    );
    let mut vms = place.read("zones/ns1/vms.yaml");
    vms = vms.replace("status: \"True\"", "status: \"False\"");
    // The second one says nothing of itself, which is well; it stands last.
    vms += "status: {conditions: [{type: Healthy, status: \"False\"}]}\n";
    place.write("zones/ns1/vms.yaml", &vms);
    let overview = server.wait_for("", |overview| word(overview, "answers") != "ok");
    let empty = overview["hosts"]["empty"].as_u64();
    assert_eq!(word(&overview, "answers"), "trouble, 1 host empty");
    let page = server.page("/").body;
    assert!(page.contains("href=\"hosts?state=empty\""), "{page}");
    let list = server.api("/hosts?state=empty");
    assert_eq!(list["matching"].as_u64(), empty);
    assert_eq!(list["hosts"][0]["host"], "svc1.internal.com");
    let story = server.page("/hosts/svc1.internal.com").body;
    assert!(story.contains("empty"), "{story}");
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let text = place.read("zones/ns1/vms.yaml");
    place.write("zones/ns1/vms.yaml", &text.replace("2.2.2.2", "2.2.2.256"));
    let problems = server.wait_for("/problems", |problems| problems["errors"] == 1);
    let problem = &problems["problems"][0];
    assert_eq!(problem["severity"], "error");
    assert_eq!(problem["code"], "MDNS303");
    assert_eq!(problem["file"], "zones/ns1/vms.yaml");
    assert_eq!(problem["line"], 53);
    assert_eq!(problem["object"], "WorkloadEntry ns1/vm2");
    assert_eq!(problems["kept"][0]["object"], "WorkloadEntry ns1/vm2");
    let page = server.page("/problems").body;
    for text in [
        "MDNS303",
        "zones/ns1/vms.yaml:53:12",
        "WorkloadEntry ns1/vm2",
    ] {
        assert!(page.contains(text), "{text} in {page}");
    }
    let overview = server.api("");
    assert_eq!(word(&overview, "data"), "trouble, 1 kept object, 1 error");
    assert_eq!(overview["problems"]["errors"], 1);
    assert_eq!(
        server.api("/problems?severity=warning")["matching"],
        overview["problems"]["warnings"]
    );
    assert_eq!(server.page("/problems?severity=bad").status, 400);
}

#[test]
fn a_move_is_counted_by_namespace_and_each_number_leads_to_its_hosts() {
    let place = Place::with_zones();
    let server = place.serve(&[]);
    let migration = server.api("/migration");
    let namespaces = migration["namespaces"].as_object().expect("an object");
    let mut sum = 0;
    for (namespace, hosts) in namespaces {
        for (state, count) in hosts["states"].as_object().expect("an object") {
            let list = server.api(&format!("/hosts?ns={namespace}&state={state}"));
            assert_eq!(&list["matching"], count, "{namespace} {state}");
            sum += count.as_u64().expect("a number");
        }
    }
    assert_eq!(migration["total"]["hosts"].as_u64(), Some(sum));
    let one = server.api("/migration?ns=ns1");
    assert_eq!(
        one["namespaces"].as_object().map(serde_json::Map::len),
        Some(1)
    );
    assert_eq!(one["total"]["states"]["mixed"], 1);
    let page = server.page("/migration").body;
    assert!(page.contains("hosts?state=mixed&amp;ns=ns1"), "{page}");
}

#[test]
fn who_answers_for_other_names_is_shown() {
    let place = Place::with_zones();
    let server = place.serve(&["--upstream", "127.0.0.1:1"]);
    let forwarding = server.api("/forwarding");
    assert_eq!(forwarding["upstreams"][0]["name"], "127.0.0.1:1");
    assert!(server.page("/forwarding").body.contains("127.0.0.1:1"));
    let story = server.page("/api/v1/hosts/elsewhere.test").json();
    assert_eq!(story["outcome"], "forwarded");
    let alone = place.serve(&[]);
    assert!(
        alone
            .page("/forwarding")
            .body
            .contains("Nothing is forwarded")
    );
}

#[test]
fn a_move_is_told_with_its_first_pod_and_its_last_vm() {
    let place = Place::new();
    let mesh = |vm: bool, pod: &str| {
        let mut text = format!(
            "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{name: s, namespace: ns1}}\nspec: {{hosts: [a.test], resolution: STATIC, ports: [{{number: 80, name: http}}], workloadSelector: {{labels: {{app: a}}}}}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {{name: p, namespace: ns1, labels: {{app: a}}}}\nstatus: {{phase: Running, podIP: 10.0.0.1, conditions: [{{type: Ready, status: '{pod}'}}]}}\n"
        );
        if vm {
            text += "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: v, namespace: ns1}\nspec: {address: 10.0.0.2, labels: {app: a}}\n";
        }
        place.write("zones/a.yaml", &text);
    };
    mesh(true, "False");
    let server = place.serve(&[]);
    let state = |state: &str| {
        let story = server.wait_for("/hosts/a.test", |story| {
            story["migration"]["state"] == state
        });
        let moves = &story["migration"];
        (moves["firstPod"].clone(), moves["lastVm"].clone())
    };
    assert_eq!(state("vm"), (Value::Null, Value::Null));
    mesh(true, "True");
    let (first_pod, last_vm) = state("mixed");
    assert!(first_pod.is_string());
    assert_eq!(last_vm, Value::Null);
    mesh(false, "True");
    let (first, last_vm) = state("pod");
    assert_eq!(first, first_pod, "it stays the first one");
    assert!(last_vm.is_string());
    let migration = server.api("/migration?ns=ns1");
    let ns1 = &migration["namespaces"]["ns1"];
    assert_eq!((&ns1["firstPod"], &ns1["lastVm"]), (&first_pod, &last_vm));
    let page = server.page("/migration").body;
    assert!(page.contains(first_pod.as_str().expect("a time")), "{page}");
    // A VM that comes back makes it no longer the last.
    mesh(true, "True");
    assert_eq!(state("mixed"), (first_pod, Value::Null));
}
