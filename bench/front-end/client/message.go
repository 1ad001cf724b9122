package main

import (
	"encoding/binary"
	"math"
)

// rawCodec hands the bytes of messages through, so that the client's own cost stays small and equal for every server.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }
func (rawCodec) Unmarshal(data []byte, v any) error {
	target := v.(*[]byte)
	*target = append((*target)[:0], data...)
	return nil
}

const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

func appendKey(b []byte, field, wire int) []byte {
	return binary.AppendUvarint(b, uint64(field<<3|wire))
}

func appendVarint(b []byte, field int, value uint64) []byte {
	return binary.AppendUvarint(appendKey(b, field, wireVarint), value)
}

func appendBytes(b []byte, field int, value []byte) []byte {
	return append(binary.AppendUvarint(appendKey(b, field, wireBytes), uint64(len(value))), value...)
}

func appendFloat(b []byte, field int, value float32) []byte {
	return binary.LittleEndian.AppendUint32(appendKey(b, field, wireFixed32), math.Float32bits(value))
}

// generateRequest is a GenerateRequest of vllm_engine.proto: greedy, streamed, with a fixed number of tokens.
func generateRequest(id string, promptTokens, tokens int) []byte {
	var ids []byte
	for i := range promptTokens {
		ids = binary.AppendUvarint(ids, uint64(5+i%100))
	}
	tokenized := appendBytes(appendBytes(nil, 1, []byte("x")), 2, ids)
	sampling := appendFloat(nil, 1, 0)
	sampling = appendVarint(sampling, 8, uint64(tokens))
	sampling = appendVarint(sampling, 15, 1) // ignore_eos
	request := appendBytes(appendBytes(nil, 1, []byte(id)), 2, tokenized)
	return appendVarint(appendBytes(request, 4, sampling), 5, 1)
}

// eachField calls visit for each field of a message until the message ends or is broken.
func eachField(message []byte, visit func(field int, value []byte)) bool {
	for len(message) > 0 {
		key, size := binary.Uvarint(message)
		if size <= 0 {
			return false
		}
		message = message[size:]
		field := int(key >> 3)
		switch key & 7 {
		case wireVarint:
			if _, size = binary.Uvarint(message); size <= 0 {
				return false
			}
			visit(field, nil)
		case wireBytes:
			length, prefix := binary.Uvarint(message)
			if prefix <= 0 || uint64(len(message)-prefix) < length {
				return false
			}
			size = prefix + int(length)
			visit(field, message[prefix:size])
		case wireFixed32:
			size = 4
		case wireFixed64:
			size = 8
		default:
			return false
		}
		if size > len(message) {
			return false
		}
		message = message[size:]
	}
	return true
}

// tokensOf counts the token ids of a GenerateResponse's chunk.
func tokensOf(response []byte) (tokens int, ok bool) {
	ok = eachField(response, func(field int, chunk []byte) {
		if field != 1 {
			return
		}
		eachField(chunk, func(field int, ids []byte) {
			if field != 1 {
				return
			}
			if ids == nil {
				tokens++
			}
			for _, octet := range ids {
				if octet < 0x80 {
					tokens++
				}
			}
		})
	})
	return tokens, ok
}
