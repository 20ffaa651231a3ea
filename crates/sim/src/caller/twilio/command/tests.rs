use clap::Parser;

use super::*;
use crate::bridge::Bridge;
use crate::service::autotranscribe::{AutoTranscribe, Config};

#[derive(Parser)]
struct Program {
    #[command(flatten)]
    arguments: Arguments,
}

#[test]
fn a_share_is_a_number_or_a_percentage() {
    assert_eq!(share("0.05"), Ok(0.05));
    assert_eq!(share("5%"), Ok(0.05));
    assert!(share("150%").is_err());
    assert!(share("much").is_err());
}

#[tokio::test]
async fn every_sample_of_the_file_comes_through_in_its_place() {
    let service = AutoTranscribe::start(Config {
        lexicon: None,
        ..Config::default()
    });
    let service = service.await.unwrap();
    let key = ("sim-api-id", "sim-api-secret");
    let bridge = Bridge::start(&service.url(), key, None).await;
    let wav = std::env::temp_dir().join(format!("antiphon-{}.wav", uuid::Uuid::new_v4()));
    let spec = hound::WavSpec {
        channels: 2,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(&wav, spec).unwrap();
    for sample in 0..8_000_i16 {
        writer.write_sample(sample + 1_000).unwrap();
        writer.write_sample(-sample - 1_000).unwrap();
    }
    writer.finalize().unwrap();
    let line = format!(
        "call --api {} --wav {} --speed 20",
        bridge.base,
        wav.display()
    );
    let program = Program::try_parse_from(line.split(' ')).unwrap();
    run(program.arguments).await.unwrap();
    std::fs::remove_file(wav).unwrap();
    for stream in service.streams() {
        let customer = stream.role() == Some(crate::speech::Role::Customer);
        let spoken = stream
            .samples
            .iter()
            .skip_while(|&&sample| sample == 0)
            .take(8_000);
        let expected = (1_000..9_000).map(|sample| {
            let code = crate::caller::ulaw::encode(if customer { sample } else { -sample });
            crate::caller::ulaw::decode(code)
        });
        assert!(
            spoken.copied().eq(expected),
            "{} samples",
            stream.samples.len()
        );
    }
    assert_eq!(service.streams().len(), 2);
}
