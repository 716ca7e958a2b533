//! The templates of `examples/aws`, created: MiniStack makes what they describe, and the program reads
//! it. MiniStack 1.5 knows neither policies of roles apart from the role nor resource policies of
//! secrets, so these are left out here, and only cfn-lint looks at them (`external/templates.rs`).

use std::path::PathBuf;
use std::time::Duration;

use end_to_end::external::{Aws, Emulator};
use serde_json::Value;
use tokio::time::timeout;

use crate::program::Program;

/// Far more than a stack takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// The resources that MiniStack does not know.
const UNKNOWN: [&str; 2] = ["AWS::IAM::RolePolicy", "AWS::SecretsManager::ResourcePolicy"];

/// The template without these resources, each of which is a block of lines.
fn known(template: &str) -> String {
    let blocks = template.split("\n\n");
    let known = blocks.filter(|block| !UNKNOWN.iter().any(|kind| block.contains(kind)));
    known.collect::<Vec<_>>().join("\n\n")
}

async fn create(aws: &Aws, stack: &str, file: &str, more: &[&str]) -> Vec<Value> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/aws").join(file);
    let template = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(template.path(), known(&std::fs::read_to_string(path).unwrap())).unwrap();
    let body = format!("file://{}", template.path().display());
    let arguments = ["create-stack", "--stack-name", stack, "--template-body", &body];
    aws.run_in("cloudformation", arguments.iter().chain(more)).await;
    let created = async {
        loop {
            let stacks =
                aws.run_in("cloudformation", ["describe-stacks", "--stack-name", stack]).await;
            match stacks["Stacks"][0]["StackStatus"].as_str().unwrap() {
                "CREATE_COMPLETE" => break,
                "CREATE_IN_PROGRESS" => tokio::time::sleep(Duration::from_millis(200)).await,
                status => panic!("{file}: {status}: {stacks}"),
            }
        }
    };
    timeout(PATIENCE, created).await.expect("a stack");
    let resources =
        aws.run_in("cloudformation", ["describe-stack-resources", "--stack-name", stack]).await;
    resources["StackResources"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_secrets_are_created_and_read() {
    let emulator = Emulator::ministack();
    let aws = Aws::new(emulator.endpoint_url());
    let capabilities = ["--capabilities", "CAPABILITY_IAM"];
    let resources = create(&aws, "gaara-secrets", "secrets.yaml", &capabilities).await;
    let of_kind =
        |kind: &str| resources.iter().filter(|resource| resource["ResourceType"] == kind).count();
    for (kind, number) in [
        ("AWS::KMS::Key", 1),
        ("AWS::KMS::Alias", 1),
        ("AWS::SecretsManager::Secret", 7),
        ("AWS::IAM::Role", 1),
    ] {
        assert_eq!(of_kind(kind), number, "{kind}: {resources:?}");
    }
    let program = Program::of_aws(emulator.endpoint_url());
    let ran = program.run("get --json --prefix gaara/prod").await;
    let found: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.code, found.len()), (0, 7), "{}{}", ran.out, ran.err);
    let ran = program.run("get secret-key --reveal --prefix gaara/prod").await;
    assert_eq!(ran.out.len(), 64, "a generated value");
    // The placeholders are replaced as the template says.
    let url = "postgres://gaara:p@db/gaara";
    assert_eq!(program.fed("put database-url --prefix gaara/prod", url).await.code, 0);
    let ran = program.run("get database-url --reveal --prefix gaara/prod").await;
    assert_eq!(ran.out, url);
}

#[tokio::test]
async fn the_alarms_are_created() {
    let emulator = Emulator::ministack();
    let aws = Aws::new(emulator.endpoint_url());
    aws.run_in("logs", ["create-log-group", "--log-group-name", "trail"]).await;
    let topic = aws.run_in("sns", ["create-topic", "--name", "alarms"]).await;
    let topic =
        format!("ParameterKey=Topic,ParameterValue={}", topic["TopicArn"].as_str().unwrap());
    let parameters =
        ["--parameters", "ParameterKey=TrailLogGroup,ParameterValue=trail", topic.as_str()];
    let resources = create(&aws, "gaara-alarms", "alarms.yaml", &parameters).await;
    let of_kind =
        |kind: &str| resources.iter().filter(|resource| resource["ResourceType"] == kind).count();
    assert_eq!(of_kind("AWS::Logs::MetricFilter"), 5, "{resources:?}");
    // That of the bill depends on the region, which MiniStack's conditions do not know.
    assert_eq!(of_kind("AWS::CloudWatch::Alarm"), 5, "{resources:?}");
}

#[tokio::test]
async fn the_push_is_created_and_is_what_the_program_prints() {
    let emulator = Emulator::ministack();
    let aws = Aws::new(emulator.endpoint_url());
    let resources = create(&aws, "gaara-push", "push.yaml", &[]).await;
    let kinds = |resources: &mut dyn Iterator<Item = &Value>, member: &str| {
        let mut kinds: Vec<String> =
            resources.map(|resource| resource[member].as_str().unwrap().to_owned()).collect();
        kinds.sort();
        kinds
    };
    let created = kinds(&mut resources.iter(), "ResourceType");
    let program = Program::of_aws(emulator.endpoint_url());
    let ran = program.run("policy --push-setup --prefix gaara/prod").await;
    let printed: Value = serde_json::from_str(&ran.out).unwrap();
    let printed = printed["Resources"].as_object().unwrap();
    assert_eq!(created, kinds(&mut printed.values(), "Type"));
}
