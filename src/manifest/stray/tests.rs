//! Which files are manifests: a table of files that people have, and of manifests with a mistake in them.

use std::sync::Arc;

use crate::{
    diagnostic::{Code, Severity, code},
    manifest::{self, DocumentOutcome},
};

const ENTRY: &str = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\n\
                     spec: {hosts: [a.test], resolution: STATIC, endpoints: [{address: 192.0.2.1}]}\n";

/// Compares what is said of a file, and how many objects it gives.
#[track_caller]
fn check(file: &str, text: &str, expected: &[(Severity, Code)], objects: usize) {
    let contents = manifest::parse(&Arc::from(file), text);
    let told = contents.diagnostics.iter();
    let found: Vec<_> = told.map(|found| (found.severity, found.code)).collect();
    assert_eq!(found, expected, "{text}\n{:#?}", contents.diagnostics);
    let is_object = |outcome: &DocumentOutcome| matches!(outcome, DocumentOutcome::Object(_));
    let outcomes = contents.documents.iter().map(|document| &document.outcome);
    assert_eq!(
        outcomes.filter(|outcome| is_object(outcome)).count(),
        objects,
        "{text}"
    );
}

#[test]
fn what_is_an_object_or_a_template_is_told_by_its_letters() {
    for text in [
        ENTRY,
        "{\"k\\u0069nd\": \"Pod\"}",
        "Kind: Pod",
        "APIVERSION: v1",
        "a: {{ b }}",
        "{% if a %}",
        "<% a %>",
        "a: ${B}",
    ] {
        assert!(super::may_matter(text), "{text}");
    }
    for text in ["", "{}", "a", "[1, {a: b}]", "]", "kin", "{ {a: b} }"] {
        assert!(!super::may_matter(text), "{text}");
    }
}

#[track_caller]
fn check_foreign(file: &str, text: &str) {
    check(file, text, &[(Severity::Info, code::NO_MANIFEST)], 0);
}

#[track_caller]
fn check_error(text: &str, code: Code) {
    check("a.yaml", text, &[(Severity::Error, code)], 0);
}

#[track_caller]
fn check_template(text: &str) {
    check("a.yaml", text, &[(Severity::Info, code::TEMPLATE)], 0);
    let contents = manifest::parse(&Arc::from("a.yaml"), text);
    assert!(contents.diagnostics[0].message.contains("template"));
}

#[test]
fn what_lies_about_in_repositories_is_told_once_and_is_no_error() {
    for (file, text) in [
        (
            "values.yaml",
            "replicas: 2\nhosts: [a.test]\nserviceEntry: {enabled: true}\n",
        ),
        (
            "values.yaml",
            "# for kind: ServiceEntry of networking.istio.io/v1\nkinds: [ServiceEntry]\n",
        ),
        ("values.yaml", "a: 1\n---\nb: 2\n---\n- c\n"),
        (
            "kustomization.yaml",
            "resources: [a.yaml]\npatches:\n- path: p.yaml\n  target: {kind: ServiceEntry, name: a}\n",
        ),
        (
            "patch.yaml",
            "- op: replace\n  path: /spec/hosts/0\n  value: b.test\n",
        ),
        (
            "package-lock.json",
            "{\"name\": \"ui\", \"lockfileVersion\": 3}",
        ),
        (
            "package.json",
            "{\"name\": \"ui\", \"scripts\": {\"kind\": \"x\"}}",
        ),
        ("list.json", "[1, 2, {\"a\": null}]"),
        ("text.json", "\"text\""),
        ("trailing.json", "{\"a\": 1,}"),
        ("comments.json", "// tsconfig\n{\"a\": 1}"),
        ("number.yaml", "80\n"),
        ("text.yaml", "just a text\n"),
        (
            "docker-compose.yml",
            "version: '3'\nservices: {web: {image: nginx, ports: ['80:80']}}\n",
        ),
        (
            ".github/workflows/ci.yml",
            "name: ci\non: [push]\njobs: {a: {steps: [{run: \"echo ${{ github.sha }}\"}]}}\n",
        ),
        (
            ".drone.yml",
            "kind: pipeline\ntype: docker\nname: default\nsteps: []\n",
        ),
        ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.0.0\n"),
        ("Chart.yaml", "apiVersion: v1\nname: shop\nversion: 1.0.0\n"),
        ("broken.yaml", "a: b: c\n"),
        ("broken.yaml", "\tMakefile:\n\t\techo\n"),
        (
            "deployment.yaml",
            "apiVersion: apps/v1\nkind: Deployment\nspec: [\n---\nb: 2\n",
        ),
        ("twice.yaml", "a: 1\na: 2\n"),
        ("header.yaml", "metadata: {name: a}\nspec: {replicas: 1}\n"),
        (
            "playbook.yml",
            "- hosts: all\n  tasks:\n  - template: {src: a.j2, dest: \"{{ b }}\"}\n",
        ),
    ] {
        check_foreign(file, text);
    }
}

#[test]
fn manifests_of_other_kinds_say_nothing() {
    for text in [
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n",
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: []\n",
        "apiVersion: v1\nkind: Config\nclusters: []\n",
        "apiVersion: v1\nkind: List\nitems: []\n",
        "",
        "# nothing\n---\n",
    ] {
        check("a.yaml", text, &[], 0);
    }
}

#[test]
fn a_manifest_with_a_mistake_stays_an_error() {
    for text in [
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nspec: [\n",
        "kind: ServiceEntry\nmetadata:\n\tname: a\n",
        "kind: \"Pod\"\nmetadata: {name: a\n",
        "apiVersion: v1\nitems:\n- kind: WorkloadEntry\n  a: b: c\n",
        "kind: ServiceEntri\na: b: c\n",
        "apiVersion: networking.istio.io/v1\nkind ServiceEntry\nmetadata: {name: a}\n",
        "{\"apiVersion\": \"networking.istio.io/v1\", \"kind\": \"ServiceEntry\"",
        "{\"items\":[{\"kind\":\"ServiceEntryList\"]}",
    ] {
        check_error(text, code::SYNTAX);
    }
    for text in [
        "kind: ServiceEntry\nmetadata: {name: x}\nspec: {hosts: [x.test]}\n",
        "apiVersion: networking.istio.io/v1\nmetadata: {name: x}\nspec: {hosts: [x.test]}\n",
        "apiVersion: networking.istio.io/v1\nspec: {}\n",
        "kind: Deployment\nmetadata: {name: x}\n",
        "apiVersion: v1\nmetadata: {name: x}\n",
        "kind: WorkloadEntri\n",
    ] {
        check_error(text, code::NO_KIND);
    }
    let both = [(Severity::Error, code::NO_KIND); 2];
    check(
        "a.yaml",
        "Kind: ServiceEntry\napiversion: networking.istio.io/v1\n",
        &both,
        0,
    );
    check_error(
        &format!("- {}", ENTRY.trim_end().replace('\n', "\n  ")),
        code::NOT_AN_OBJECT,
    );
}

#[test]
fn beside_an_object_of_ours_every_document_counts() {
    for (other, code) in [
        ("a: b: c\n", code::SYNTAX),
        ("just a text\n", code::NOT_AN_OBJECT),
        ("- a\n", code::NOT_AN_OBJECT),
    ] {
        let expected = [(Severity::Error, code)];
        check("a.yaml", &format!("{ENTRY}---\n{other}"), &expected, 1);
        check("a.yaml", &format!("{other}---\n{ENTRY}"), &expected, 1);
    }
    let rejected = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: []}\n";
    let expected = [
        (Severity::Error, code::NO_HOSTS),
        (Severity::Error, code::NOT_AN_OBJECT),
    ];
    check("a.yaml", &format!("{rejected}---\n- a\n"), &expected, 0);
}

#[test]
fn a_template_says_once_that_it_is_one() {
    check_template(
        "{{- if .Values.on }}\n{{- range .Values.hosts }}\n---\napiVersion: networking.istio.io/v1\n\
         kind: ServiceEntry\nmetadata:\n  name: {{ . }}-egress\nspec:\n  hosts:\n  - {{ . | quote }}\n{{- end }}\n{{- end }}\n",
    );
    check_template("{% for host in hosts %}\n---\nkind: ServiceEntry\n{% endfor %}\n");
    check_template("a: {{ .Values.a }}\n");
    check_template("{{/*\n comment\n*/}}\na: b\n");
    for host in [
        "\"{{ host }}\"",
        "'{{ .Values.host }}'",
        "\"a.${domain}\"",
        "\"{% if a %}b{% endif %}\"",
    ] {
        check_template(&ENTRY.replace("[a.test]", &format!("[{host}]")));
        check_template(&ENTRY.replace("name: a", &format!("name: {host}")));
    }
    // A good object beside it is served.
    let expected = [(Severity::Info, code::TEMPLATE)];
    check(
        "a.yaml",
        &format!("{ENTRY}---\na: {{{{ b }}}}\n"),
        &expected,
        1,
    );
    // What is wrong without one is an error.
    let expected = [
        (Severity::Error, code::SYNTAX),
        (Severity::Info, code::TEMPLATE),
    ];
    let broken = "kind: ServiceEntry\na: b: c\n";
    check(
        "a.yaml",
        &format!("{broken}---\na: {{{{ b }}}}\n"),
        &expected,
        0,
    );
}

#[test]
fn a_manifest_may_talk_of_templates() {
    let note = "metadata: {name: a, annotations: {note: \"{{ $labels.x }}\"}}";
    check(
        "a.yaml",
        &ENTRY.replace("metadata: {name: a}", note),
        &[],
        1,
    );
    let broken = ENTRY
        .replace("metadata: {name: a}", note)
        .replace("spec: ", "spec: a: ");
    check_error(&broken, code::SYNTAX);
}
