//! The templates of `examples/aws`, read by cfn-lint, which knows what CloudFormation accepts.

use std::path::Path;

use end_to_end::external::cfn_lint;

#[tokio::test]
async fn cloudformation_accepts_the_examples() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/aws");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        files += 1;
        let mut lint = tokio::process::Command::new(cfn_lint());
        let output = lint.arg(&path).kill_on_drop(true).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.trim().is_empty(), "{}: {said}", path.display());
    }
    assert!(files >= 3, "{files} templates");
}
