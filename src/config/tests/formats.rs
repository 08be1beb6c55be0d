//! The forms that a file may have: JSON with comments, and YAML.

use super::*;

const COMMENTED: &str = r#"// my deployments
{
  /* the pool */
  "num_workers": 8, // "max_job_retry": 0,
  "deployments": [
    {
      "name": "east", // ä
      "endpoint": "https://east.example", /* https://west.example */
      "api_key": "canary//key",
      "model": "gpt-4o",
    },
  ],
}
"#;

#[test]
fn comments_and_trailing_commas_are_passed_over_and_places_are_kept() {
    let east = DeploymentConfig::new("east", "https://east.example", "gpt-4o").auth(Auth::key("canary//key"));
    assert_eq!(read(COMMENTED), BlasterConfig::new([east]).num_workers(8));
    let wrong = COMMENTED
        .replace("/* https://west.example */ ", "")
        .replace("\"gpt-4o\"", "/* ä */ 7");
    assert_eq!(problem_of(&wrong).position, Some((10, 24)));
}

#[cfg(feature = "yaml")]
mod yaml {
    use super::*;

    const SETTINGS: &str = r#"# my deployments
num_workers: 8
quota_groups: {east-4o: {tpm_limit: 240000}}
deployments:
  - &east
    name: east   # ä
    endpoint: https://east.example
    api_key: ${KEY}
    model: "gpt-4o"
    api_version: 2024-10-21
    temperature: 0.5
    serves: [gpt-4o, "no"]
    quota_group: east-4o
    headers:
      x-a: canary
  - <<: *east
    name: bulk
    api_key: ~
"#;

    fn read_yaml(text: &str) -> Result<BlasterConfig, ConfigError> {
        parse_yaml(text, Some("config.yaml"), &|_| Some("canary-key".to_owned()))
    }

    #[test]
    fn yaml_says_the_same_as_json() {
        let east = DeploymentConfig::new("east", "https://east.example", "gpt-4o")
            .auth(Auth::key("canary-key"))
            .api_version("2024-10-21")
            .temperature(0.5)
            .serves(["gpt-4o", "no"])
            .quota_group("east-4o")
            .header("x-a", "canary");
        let mut bulk = east.clone().auth(Auth::None);
        bulk.name = "bulk".to_owned();
        let mut expected = BlasterConfig::new([east, bulk]).num_workers(8);
        expected.quota_groups = vec![QuotaGroup::new("east-4o").tpm_limit(240_000)];
        assert_eq!(read_yaml(SETTINGS), Ok(expected));
    }

    #[test]
    fn what_is_wrong_in_yaml_is_told_at_its_line_and_column() {
        let with = |old: &str, new: &str| SETTINGS.replace(old, new);
        let rows = [
            (
                with("num_workers: 8", "num_workers: 0"),
                "config.yaml:2:14: num_workers must be a whole number",
            ),
            (
                with("num_workers: 8", "num_worker: 8"),
                "config.yaml:2:1: unknown key \"num_worker\"; did you mean",
            ),
            (
                with("num_workers: 8", "num_workers: yes"),
                "config.yaml:2:14: num_workers must be a whole number from 1 to 16384, got text",
            ),
            (
                with("tpm_limit: 240000", "tpm_limit: 0"),
                "config.yaml:3:37: quota_groups \"east-4o\": tpm_limit must be",
            ),
            (
                with("    name: bulk", "    name: bulk\n    weight: 0"),
                "config.yaml:18:13: deployments[1] \"bulk\": weight must be",
            ),
            (
                with("    name: bulk", "    name: bulk\n    name: canary"),
                "config.yaml:18:5: not valid YAML: a key is given twice",
            ),
            (with("*east", "*canary"), "config.yaml:16:9: not valid YAML: "),
            (with("model: \"gpt-4o\"", "model: \"canary"), "not valid YAML: "),
            (with("\"no\"]", "\"no\"\n    canary: 1"), "not valid YAML: "),
            (
                format!("{SETTINGS}---\na: 1\n"),
                "config.yaml:20:1: not valid here: a second document begins",
            ),
            (
                "[1, {}: 2]".to_owned(),
                "config.yaml:1:5: not valid here: a key must be text",
            ),
            (
                "- a: 1".to_owned(),
                "config.yaml:1:1: the file must be an object, got a list",
            ),
            ("# nothing\n".to_owned(), "the file is empty"),
            (
                format!("{}1{}", "[".repeat(100), "]".repeat(100)),
                "not valid here: it is nested deeper",
            ),
        ];
        for (text, part) in rows {
            let error = read_yaml(&text).expect_err(part);
            assert!(error.to_string().contains(part), "{text}\n{error}\n{part}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
            assert_eq!(error.problems().len(), 1, "{error}");
        }
    }

    #[test]
    fn aliases_make_a_file_no_larger_than_one_may_be() {
        let mut text = "a: &a0 [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n".to_owned();
        for level in 1..9 {
            let before = format!("*a{}", level - 1);
            text += &format!("b{level}: &a{level} [{}]\n", vec![before; 10].join(", "));
        }
        let error = read_yaml(&text).unwrap_err().to_string();
        assert!(
            error.contains("what an alias stands for is wrong, or too much"),
            "{error}"
        );
    }

    #[test]
    fn a_file_is_read_as_its_ending_says() {
        let folder = tempfile::tempdir().unwrap();
        let text = "deployments: [{name: a, endpoint: https://a.example, api_key: k, model: m}]";
        for (name, is_read) in [("c.yaml", true), ("c.YML", true), ("c.json", false), ("c", false)] {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            assert_eq!(BlasterConfig::from_file(&path).is_ok(), is_read, "{name}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_yaml_is_read_or_refused(text in "[-:\\[\\]{},#&*!|>'\"a1. \nß~<]{0,60}") {
            let _ = read_yaml(&text);
        }
    }
}

#[cfg(not(feature = "yaml"))]
#[test]
fn yaml_without_its_feature_is_refused_with_the_feature() {
    let error = parse_yaml("a: 1", Some("config.yaml"), NO_ENV).unwrap_err();
    assert!(error.to_string().contains("the feature `yaml`"), "{error}");
}
