// oneDNN's linear-before-reset AUGRU on padded rows, in a process of its own: its threads and torch's would
// otherwise wait for each other.
//
//   onednn_augru T B H file
//
// The file holds float32: x [T, B, H], scores [T, B], weight_ih [H, 3, H] and weight_hh [H, 3, H] with gates u, r, o,
// bias [4, H] and the gradient of every state [T, B, H]. A line "forward" runs a forward pass for inference, "both"
// one for training and the backward pass; the answer is seconds, weights' change of layout included. "write PATH"
// writes the states and the gradients of x, scores, weight_ih, weight_hh and bias of the last "both".
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <oneapi/dnnl/dnnl.hpp>
#include <string>
#include <unordered_map>

using namespace dnnl;
using Dims = memory::dims;
using Tag = memory::format_tag;
using Arguments = std::unordered_map<int, memory>;

namespace {

const engine cpu(engine::kind::cpu, 0);
stream work(cpu);

memory::desc described(const Dims& dims, Tag tag) { return {dims, memory::data_type::f32, tag}; }

// The memory in the layout a primitive wants.
memory laid_out(memory from, const memory::desc& wanted) {
    if (from.get_desc() == wanted) return from;
    memory to(wanted, cpu);
    reorder(from, to).execute(work, from, to);
    return to;
}

struct Problem {
    int64_t T, B, H;
    memory x, scores, weight_ih, weight_hh, bias, of_states;
    memory states, by_x, by_scores, by_weight_ih, by_weight_hh, by_bias;
    const memory::desc any_weight;
    lbr_augru_forward::primitive_desc inference, training;
    lbr_augru_backward::primitive_desc backward;

    Problem(int64_t T, int64_t B, int64_t H, std::istream& file)
        : T(T), B(B), H(H), any_weight(described({1, 1, H, 3, H}, Tag::any)) {
        const auto made = [](const Dims& dims, Tag tag) { return memory(described(dims, tag), cpu); };
        const auto read = [&](const Dims& dims, Tag tag) {
            const memory m = made(dims, tag);
            file.read(static_cast<char*>(m.get_data_handle()), m.get_desc().get_size());
            return m;
        };
        x = read({T, B, H}, Tag::tnc);
        scores = read({T, B, 1}, Tag::tnc);
        weight_ih = read({1, 1, H, 3, H}, Tag::ldigo);
        weight_hh = read({1, 1, H, 3, H}, Tag::ldigo);
        bias = read({1, 1, 4, H}, Tag::ldgo);
        of_states = read({T, B, H}, Tag::tnc);
        states = made({T, B, H}, Tag::tnc);
        by_x = made({T, B, H}, Tag::tnc);
        by_scores = made({T, B, 1}, Tag::tnc);
        by_weight_ih = made({1, 1, H, 3, H}, Tag::ldigo);
        by_weight_hh = made({1, 1, H, 3, H}, Tag::ldigo);
        by_bias = made({1, 1, 4, H}, Tag::ldgo);

        const memory::desc none, sequence = x.get_desc(), score = scores.get_desc(), biases = bias.get_desc();
        const auto direction = rnn_direction::unidirectional_left2right;
        const auto forward = [&](prop_kind kind) {
            return lbr_augru_forward::primitive_desc(
                {kind, direction, sequence, none, score, any_weight, any_weight, biases, sequence, none}, cpu);
        };
        inference = forward(prop_kind::forward_inference);
        training = forward(prop_kind::forward_training);
        backward = lbr_augru_backward::primitive_desc(
            {prop_kind::backward, direction, sequence, none, score, any_weight, any_weight, biases, sequence, none,
             sequence, none, score, any_weight, any_weight, biases, sequence, none},
            cpu, training);
    }

    Arguments given(const memory::desc& layer, const memory::desc& iter) const {
        return {{DNNL_ARG_SRC_LAYER, x},
                {DNNL_ARG_AUGRU_ATTENTION, scores},
                {DNNL_ARG_WEIGHTS_LAYER, laid_out(weight_ih, layer)},
                {DNNL_ARG_WEIGHTS_ITER, laid_out(weight_hh, iter)},
                {DNNL_ARG_BIAS, bias},
                {DNNL_ARG_DST_LAYER, states}};
    }

    void run_forward() const {
        lbr_augru_forward(inference)
            .execute(work, given(inference.weights_layer_desc(), inference.weights_iter_desc()));
        work.wait();
    }

    void run_both() {
        const memory workspace(training.workspace_desc(), cpu);
        Arguments forward = given(training.weights_layer_desc(), training.weights_iter_desc());
        forward.emplace(DNNL_ARG_WORKSPACE, workspace);
        lbr_augru_forward(training).execute(work, forward);

        // Gradients of weights are added to.
        const auto zeroed = [](const memory::desc& desc) {
            const memory m(desc, cpu);
            std::fill_n(static_cast<char*>(m.get_data_handle()), desc.get_size(), 0);
            return m;
        };
        memory layer = zeroed(backward.diff_weights_layer_desc()), iter = zeroed(backward.diff_weights_iter_desc());
        std::fill_n(static_cast<char*>(by_bias.get_data_handle()), by_bias.get_desc().get_size(), 0);
        Arguments all = given(backward.weights_layer_desc(), backward.weights_iter_desc());
        for (const auto& [argument, value] :
             Arguments{{DNNL_ARG_WORKSPACE, workspace},
                       {DNNL_ARG_DIFF_SRC_LAYER, by_x},
                       {DNNL_ARG_DIFF_AUGRU_ATTENTION, by_scores},
                       {DNNL_ARG_DIFF_WEIGHTS_LAYER, layer},
                       {DNNL_ARG_DIFF_WEIGHTS_ITER, iter},
                       {DNNL_ARG_DIFF_BIAS, by_bias},
                       {DNNL_ARG_DIFF_DST_LAYER, of_states}})
            all.emplace(argument, value);
        lbr_augru_backward(backward).execute(work, all);
        reorder(layer, by_weight_ih).execute(work, layer, by_weight_ih);
        reorder(iter, by_weight_hh).execute(work, iter, by_weight_hh);
        work.wait();
    }

    void write(const std::string& path) const {
        std::ofstream file(path, std::ios::binary);
        for (const memory& m : {states, by_x, by_scores, by_weight_ih, by_weight_hh, by_bias})
            file.write(static_cast<const char*>(m.get_data_handle()), m.get_desc().get_size());
    }
};

}  // namespace

int main(int, char** arguments) {
    std::ifstream file(arguments[4], std::ios::binary);
    Problem problem(std::stoll(arguments[1]), std::stoll(arguments[2]), std::stoll(arguments[3]), file);
    for (std::string line; std::getline(std::cin, line);) {
        const auto begin = std::chrono::steady_clock::now();
        if (line == "forward") problem.run_forward();
        if (line == "both") problem.run_both();
        const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
        if (line.rfind("write ", 0) == 0) problem.write(line.substr(6));
        std::printf("%.9f\n", seconds.count());
        std::fflush(stdout);
    }
}
