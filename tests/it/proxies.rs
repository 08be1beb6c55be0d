//! Connections by way of an HTTP proxy, as the configuration or the environment names it.

use std::io::Write;
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use azure_openai_blaster::Blaster;
use azure_openai_blaster::config::{Auth, BlasterConfig, DeploymentConfig};
use azure_openai_blaster::error::Error;

use crate::canned::{self, Canned};
use crate::child;
use crate::support::{ask, wait};

/// A configuration of these names on hosts that nothing resolves: that is the proxy's business.
fn config(names: &[&str]) -> BlasterConfig {
    let deployments = names.iter().map(|name| {
        DeploymentConfig::new(*name, format!("https://{name}.invalid"), "gpt-4o").auth(Auth::key("canary"))
    });
    BlasterConfig::new(deployments).num_workers(1)
}

#[test]
fn a_proxy_that_wants_a_password_is_asked_once_for_each_deployment_and_said_to_be_at_fault() {
    for status in ["407 Proxy Authentication Required", "403 Forbidden"] {
        let proxy = Canned::start(&format!("{status}\r\nproxy-authenticate: Basic realm=x"), "canary");
        let config = config(&["east", "west"]).proxy(proxy.url.as_str());
        let blaster = Blaster::builder().config(config).build().unwrap();
        let handles: Vec<_> = (0..20).map(|id| blaster.submit(ask(id)).unwrap()).collect();
        for handle in handles {
            let error = wait(handle).unwrap_err();
            let Error::NoEndpoint { endpoints, .. } = &error else {
                panic!("{error}")
            };
            for (_, reason) in endpoints.iter() {
                assert!(reason.contains(status) && reason.contains("set proxy"), "{reason}");
            }
            assert!(
                !error.is_retryable() && !format!("{error:?}").contains("canary"),
                "{error:?}"
            );
        }
        let mut asked: Vec<_> = proxy
            .received()
            .iter()
            .map(|request| request.head.lines().next().unwrap().to_owned())
            .collect();
        asked.sort();
        assert_eq!(
            asked,
            ["connect east.invalid:443 http/1.1", "connect west.invalid:443 http/1.1"]
        );
    }
}

/// A proxy that lets nobody through, and tells where they wanted to.
fn lets_nobody_through() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, asked) = mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let Some(request) = canned::read(&mut connection) else {
                continue;
            };
            // Before the answer, after which the client may be gone.
            let host = request
                .head
                .strip_prefix("connect ")
                .and_then(|rest| rest.split(' ').next());
            let _ = tell.send(host.unwrap_or("no tunnel").to_owned());
            let _ = connection.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n");
        }
    });
    (url, asked)
}

/// Each row is a process of its own with that environment, which asks where all are reached by way of the proxy.
#[test]
fn the_environment_names_proxies_as_curl_reads_it() {
    if child::role().is_some() {
        let builder = Blaster::builder().config(config(&["east", "west"]));
        match builder.check() {
            Ok(setup) => {
                let (east, west) = (setup.proxies[0].is_some(), setup.proxies[1].is_some());
                child::say("through", format!("{east} {west}"));
                if east && west {
                    drop(builder.build().unwrap().chat(ask(0)).unwrap_err());
                }
            }
            Err(error) => child::say("error", error),
        }
        return;
    }
    let (url, asked) = lets_nobody_through();
    let socks = "socks5://127.0.0.1:1";
    let rows: [(&[(&str, &str)], &str); 9] = [
        (&[("HTTPS_PROXY", &url)], "says:through=true true"),
        (
            &[("https_proxy", &url), ("HTTPS_PROXY", socks)],
            "says:through=true true",
        ),
        (&[("ALL_PROXY", socks), ("HTTPS_PROXY", &url)], "says:through=true true"),
        (&[("all_proxy", &url)], "says:through=true true"),
        (
            &[("all_proxy", &url), ("NO_PROXY", "east.invalid,.west.invalid")],
            "says:through=false false",
        ),
        (
            &[("all_proxy", &url), ("no_proxy", "west.invalid")],
            "says:through=true false",
        ),
        (&[("http_proxy", &url)], "says:through=false false"),
        (&[("ALL_PROXY", socks), ("NO_PROXY", "*")], "says:through=false false"),
        (&[("ALL_PROXY", socks)], "says:error=ALL_PROXY names a SOCKS proxy"),
    ];
    for (variables, said) in rows {
        let test = "proxies::the_environment_names_proxies_as_curl_reads_it";
        let mut command = child::command(test, "client", "");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{variables:?}: {stderr}");
        assert!(stdout.contains(said), "{variables:?}: {stdout}");
        let mut hosts: Vec<String> = asked.try_iter().collect();
        hosts.sort();
        let expected: &[&str] = match said.ends_with("true true") {
            true => &["east.invalid:443", "west.invalid:443"],
            false => &[],
        };
        assert_eq!(hosts, expected, "{variables:?}");
    }
}
