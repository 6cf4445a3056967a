//! Whether the image of servers is there, fits the machine and has a server that
//! we can talk to (NBI-1, NBI-4).

use hub_spawner::{
    docker::{DockerConfig, PullPolicy},
    engine::{EngineError, EngineInfo, ImageDetails},
};
use serde::Deserialize;

use super::{
    Examination, Finding, Known,
    container::{self, Look},
    daemon::judge_failure,
    space,
};
use crate::COMPATIBLE_VERSION;

/// Tells what of a single-user server is installed.
const PROGRAM: &str = r#"
import importlib.util, json, shutil
try:
    import jupyterhub
    version = jupyterhub.__version__
except ImportError:
    version = None
def has(module):
    return importlib.util.find_spec(module) is not None
print(json.dumps({
    "jupyterhub": version,
    "program": shutil.which("jupyterhub-singleuser"),
    "frontend": has("jupyterlab") or has("notebook"),
}))
"#;

/// What the program tells.
#[derive(Debug, Deserialize)]
struct Content {
    /// The version of the package, if it is there.
    jupyterhub: Option<String>,
    /// Where `jupyterhub-singleuser` is.
    program: Option<String>,
    /// Whether there are pages to serve.
    frontend: bool,
}

pub(super) async fn check(_examination: &Examination, known: &mut Known) -> Vec<Finding> {
    let (Some(docker), Some(engine)) = (known.spawner(), &known.engine) else { return Vec::new() };
    match engine.image(&docker.image).await {
        Ok(Some(image)) => {
            let findings = judge(docker, &image, known.daemon.as_ref());
            known.image = Some(image);
            findings
        }
        Ok(None) => vec![judge_absence(docker)],
        Err(error) => vec![judge_failure(&error)],
    }
}

fn judge(config: &DockerConfig, image: &ImageDetails, daemon: Option<&EngineInfo>) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(format!(
        "{}: {}, {}/{}, {}",
        config.image,
        image.id.trim_start_matches("sha256:").get(..12).unwrap_or(&image.id),
        image.os,
        image.architecture,
        space::size(image.size)
    ))];
    if let Some(daemon) = daemon
        && !fits(&image.architecture, &daemon.architecture)
    {
        findings.push(Finding::warning(
            format!(
                "it is made for {}, the machine is {}",
                image.architecture, daemon.architecture
            ),
            "take an image made for this machine; with emulation it is slow at best",
        ));
    }
    if image.command.is_empty() && image.entrypoint.is_empty() && config.cmd.is_none() {
        findings.push(Finding::problem(
            "it has no command to start a server with",
            "set spawner.docker.cmd, for example to \"jupyterhub-singleuser\"",
        ));
    }
    findings
}

/// Whether images and kernels mean the same kind of processor.
fn fits(image: &str, machine: &str) -> bool {
    let as_images_say = match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        "i386" | "i686" => "386",
        other => other,
    };
    // Some images do not say what they are for.
    image.is_empty() || machine.is_empty() || image == as_images_say
}

fn judge_absence(config: &DockerConfig) -> Finding {
    let image = &config.image;
    let seen = format!("the daemon does not have {image}");
    let fetch = format!("`docker pull {image}`, or build it");
    match config.pull_policy {
        PullPolicy::Never | PullPolicy::Skip => Finding::problem(
            format!("{seen}, and spawner.docker.pull_policy forbids to fetch it"),
            fetch,
        ),
        PullPolicy::Always | PullPolicy::IfNotPresent => Finding::warning(
            format!("{seen}; the first start of a server has to fetch it"),
            format!("{fetch}, so that nobody has to wait"),
        ),
    }
}

pub(super) async fn check_content(known: &Known) -> Vec<Finding> {
    let (Some(docker), Some(engine)) = (known.spawner(), &known.engine) else { return Vec::new() };
    let Some(image) = &known.image else {
        return vec![Finding::skipped("the image is not there yet")];
    };
    let look = Look {
        deployment: &docker.deployment,
        image: &docker.image,
        network: "none",
        program: PROGRAM,
        arguments: Vec::new(),
    };
    match container::run(engine, &look).await {
        Ok(output) => match container::answer(&output) {
            Some(content) => judge_content(&content, &start_command(docker, image)),
            None => vec![unknown(&container::last_words(&output))],
        },
        Err(error) => vec![judge_no_run(&error)],
    }
}

/// The words that start a server.
fn start_command(config: &DockerConfig, image: &ImageDetails) -> String {
    let configured = config.cmd.as_ref().map(|command| command.words().to_vec());
    let command = configured.unwrap_or_else(|| image.command.clone());
    image.entrypoint.iter().chain(&command).cloned().collect::<Vec<_>>().join(" ")
}

fn judge_content(content: &Content, command: &str) -> Vec<Finding> {
    let install = format!(
        "derive an image from it: `RUN pip install 'jupyterhub=={}.*' jupyterlab`",
        major(COMPATIBLE_VERSION).unwrap_or(5)
    );
    let Some(version) = &content.jupyterhub else {
        return vec![Finding::problem("it has no Python package jupyterhub", install)];
    };
    let ours = major(COMPATIBLE_VERSION);
    let mut findings = vec![match major(version) {
        Some(0) => Finding::problem(
            format!(
                "its jupyterhub {version} is of the age before 1.0, which nobody has tried with this hub and most of which speaks another language; its servers may start and never be reached"
            ),
            "take an image with jupyterhub 1.5 or newer",
        ),
        Some(theirs) if ours.is_some_and(|ours| theirs <= ours) => {
            Finding::ok(format!("jupyterhub {version}"))
        }
        Some(_) => Finding::warning(
            format!(
                "its jupyterhub {version} is newer than {COMPATIBLE_VERSION}, which this hub speaks"
            ),
            "expect redirect loops; take an older image, or a newer hub",
        ),
        None => unknown(&format!("jupyterhub {version:?} is no version")),
    }];
    if !content.frontend {
        findings.push(Finding::problem("it has neither jupyterlab nor notebook", install));
    }
    if content.program.is_none() && command.contains("singleuser") {
        findings.push(Finding::problem(
            format!("its command is `{command}`, but it has no jupyterhub-singleuser"),
            "correct spawner.docker.cmd, or the image's PATH",
        ));
    }
    findings
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

/// Not a problem: a server may still start from such an image.
fn unknown(why: &str) -> Finding {
    Finding::warning(
        format!("what is in it cannot be told ({why})"),
        "make sure that it has Python 3, jupyterhub and jupyterlab or notebook",
    )
}

fn judge_no_run(error: &EngineError) -> Finding {
    match error.text().map(str::to_lowercase) {
        Some(text) if text.contains("executable file not found") => unknown("it has no python3"),
        Some(text) if text.contains("exec format error") => Finding::problem(
            "it is made for another kind of machine",
            "take an image made for this one",
        ),
        _ => judge_failure(error),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Outcome, *};

    fn outcome(findings: &[Finding]) -> Outcome {
        findings.iter().map(|finding| finding.outcome).max().unwrap()
    }

    fn content(version: Option<&str>) -> Content {
        Content {
            jupyterhub: version.map(str::to_owned),
            program: Some("/usr/bin/jupyterhub-singleuser".to_owned()),
            frontend: true,
        }
    }

    #[test]
    fn nbi_4_an_image_of_the_old_age_is_told_apart() {
        for (version, expected) in [
            (None, Outcome::Problem),
            (Some("0.6.1"), Outcome::Problem),
            (Some("1.5.0"), Outcome::Ok),
            (Some("4.1.6"), Outcome::Ok),
            (Some(COMPATIBLE_VERSION), Outcome::Ok),
            (Some("99.0"), Outcome::Warning),
            (Some("unknown"), Outcome::Warning),
        ] {
            let findings = judge_content(&content(version), "jupyterhub-singleuser");
            assert_eq!(outcome(&findings), expected, "{version:?}: {findings:?}");
        }
    }

    #[test]
    fn nbi_1_an_image_without_pages_or_program_is_told() {
        let bare = Content { frontend: false, ..content(Some("5.4.0")) };
        assert_eq!(outcome(&judge_content(&bare, "x")), Outcome::Problem);
        let no_program = Content { program: None, ..content(Some("5.4.0")) };
        assert_eq!(outcome(&judge_content(&no_program, "start-singleuser.py")), Outcome::Problem);
        assert_eq!(outcome(&judge_content(&no_program, "jupyter labhub")), Outcome::Ok);
    }

    #[test]
    fn env_4_an_absent_image_is_a_warning_where_it_can_be_fetched() {
        let mut config = DockerConfig::new("lab:4");
        let finding = judge_absence(&config);
        assert_eq!(finding.outcome, Outcome::Warning);
        assert!(finding.advice.unwrap().contains("docker pull lab:4"));
        config.pull_policy = PullPolicy::Never;
        assert_eq!(judge_absence(&config).outcome, Outcome::Problem);
    }

    #[test]
    fn an_image_must_fit_the_machine_and_have_a_command() {
        let config = DockerConfig::new("lab");
        let machine = EngineInfo { architecture: "x86_64".to_owned(), ..EngineInfo::default() };
        let image = |architecture: &str, command: &[&str]| ImageDetails {
            architecture: architecture.to_owned(),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            ..ImageDetails::default()
        };
        let judged = |image| outcome(&judge(&config, &image, Some(&machine)));
        assert_eq!(judged(image("amd64", &["serve"])), Outcome::Ok);
        assert_eq!(judged(image("", &["serve"])), Outcome::Ok);
        assert_eq!(judged(image("arm64", &["serve"])), Outcome::Warning);
        assert_eq!(judged(image("amd64", &[])), Outcome::Problem);
    }
}
