//! Reads counted streams slowly with tonic and says what it found as a line of JSON.
//! Its arguments are those that every reader of this folder takes: TARGET SEED STREAMS MESSAGES CANCELLED.
use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use std::time::Duration;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

const CHANNELS: usize = 4;

/// Messages as they are on the wire.
#[derive(Clone, Copy, Default)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;
    fn encoder(&mut self) -> Raw {
        Raw
    }
    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn encode(&mut self, item: Bytes, out: &mut EncodeBuf<'_>) -> Result<(), Status> {
        out.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;
    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(from.copy_to_bytes(from.remaining())))
    }
}

/// splitmix64: repeatable, and all that is asked of it.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize| args[at].parse::<u64>().expect("a number");
    let (seed, streams, messages, cancelled) = (number(1), number(2), number(3), number(4));
    let mut random = Random(seed);
    let mut channels = Vec::new();
    for _ in 0..CHANNELS {
        // From less than a frame to more than the rest, for streams and connections alike.
        let channel = Endpoint::from_shared(format!("http://{}", args[0]))
            .expect("a target")
            .initial_stream_window_size(Some(500 + random.below(200_000) as u32))
            .initial_connection_window_size(Some(65_535 + random.below(400_000) as u32))
            .connect()
            .await
            .expect("a connection");
        channels.push(channel);
    }
    let mut readers = Vec::new();
    for stream in 0..streams + cancelled {
        let stop = if stream < streams {
            messages
        } else {
            1 + random.below(messages - 1)
        };
        let channel = channels[stream as usize % CHANNELS].clone();
        let random = Random(seed ^ (stream << 32));
        readers.push(tokio::spawn(read(
            channel,
            random,
            stream as u32,
            messages as u32,
            stop as u32,
        )));
    }
    let mut read_messages = 0;
    let mut wrong = Vec::new();
    for reader in readers {
        match reader.await.expect("a reader that does not panic") {
            Ok(count) => read_messages += u64::from(count),
            Err(problem) => wrong.push(format!("{problem:?}")),
        }
    }
    println!(
        "{{\"messages\":{read_messages},\"wrong\":[{}]}}",
        wrong.join(",")
    );
}

/// Reads `stop` messages of `count` and cancels when they are fewer; answers how many were right.
async fn read(
    channel: Channel,
    mut random: Random,
    stream: u32,
    count: u32,
    stop: u32,
) -> Result<u32, String> {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.map_err(|error| error.to_string())?;
    let mut head = Vec::new();
    head.put_u32(stream);
    head.put_u32(count);
    let path = PathAndQuery::from_static("/tokenwire.test.Counting/Count");
    let mut answers = client
        .server_streaming(Request::new(Bytes::from(head)), path, Raw)
        .await
        .map_err(|status| format!("stream {stream}: {status}"))?
        .into_inner();
    for number in 0..stop {
        let message = match answers.message().await {
            Ok(Some(message)) => message,
            other => {
                return Err(format!(
                    "stream {stream} ended at {number}: {:?}",
                    other.err()
                ))
            }
        };
        if !is_right(&message, stream, number) {
            return Err(format!("stream {stream} has a wrong message at {number}"));
        }
        if random.below(3_000) == 0 {
            tokio::time::sleep(Duration::from_millis(random.below(10))).await;
        }
    }
    // Dropped unread, a stream is reset.
    if stop < count {
        return Ok(stop);
    }
    match answers.message().await {
        Ok(None) => Ok(stop),
        other => Err(format!("stream {stream} does not end: {other:?}")),
    }
}

fn is_right(message: &Bytes, stream: u32, number: u32) -> bool {
    message.len() == 8 + number as usize % 97
        && message[..4] == stream.to_be_bytes()
        && message[4..8] == number.to_be_bytes()
        && message[8..].iter().all(|&byte| byte == number as u8)
}
