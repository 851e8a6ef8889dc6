// Flag over environment over file; whatever cannot be understood ends with status 2 and says where it stands.
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "relay/command_line.hpp"
#include "relay/config_file.hpp"
#include "relay/endpoint.hpp"
#include "relay/failure.hpp"

namespace paysync::relay {
namespace {

CommandLine read(std::vector<const char*> arguments, std::vector<const char*> environment = {}) {
    arguments.insert(arguments.begin(), "paysync-relay");
    environment.push_back(nullptr);
    return read_command_line(static_cast<int>(arguments.size()), arguments.data(), environment.data());
}

// The failure's message and hint; fails the test where there is none.
template <typename Action>
std::string failure_of(Action action) {
    try {
        action();
    } catch (const Failure& failure) {
        EXPECT_EQ(failure.status, kExitUsage);
        return std::string(failure.what()) + "|" + failure.hint;
    }
    ADD_FAILURE() << "nothing was refused";
    return "";
}

class ConfigFile {
public:
    explicit ConfigFile(const std::string& text) : path_(testing::TempDir() + "relay_config_test.toml") {
        std::ofstream(path_) << text;
    }
    ~ConfigFile() { std::remove(path_.c_str()); }
    [[nodiscard]] const char* path() const { return path_.c_str(); }

private:
    std::string path_;
};

TEST(RelayConfig, DefaultsAreThoseThatAreDocumented) {
    const Options options = read({}).options;
    EXPECT_EQ(options.bind, "tcp://127.0.0.1:7420");
    EXPECT_EQ(options.window_bytes, 67108864U);
    EXPECT_EQ(options.page_bytes, 1048576U);
    EXPECT_EQ(options.batch_bytes, 65536U);
    EXPECT_TRUE(options.verify);
}

TEST(RelayConfig, FlagWinsOverEnvironmentWinsOverFile) {
    const ConfigFile file("window_bytes = 2000000\npage_bytes = 200000\nbatch_bytes = 2000\n");
    const Options options = read({"--config", file.path(), "--batch-bytes", "4000"},
                                 {"PAYSYNC_PAGE_BYTES=300000", "PAYSYNC_BATCH_BYTES=3000"})
                                .options;
    EXPECT_EQ(options.window_bytes, 2000000U);
    EXPECT_EQ(options.page_bytes, 300000U);
    EXPECT_EQ(options.batch_bytes, 4000U);
}

TEST(RelayConfig, AnUnknownKeyNamesItsLineAndTheNearestOne) {
    EXPECT_EQ(failure_of([] { (void)parse_config("\nwindw_bytes = 1\n", "r.toml"); }),
              "r.toml:2: unknown key \"windw_bytes\"|Did you mean \"window_bytes\"?");
}

TEST(RelayConfig, AWrongTypeNamesItsLine) {
    EXPECT_EQ(failure_of([] { (void)parse_config("bind = 7420", "r.toml"); }),
              "r.toml:1: wrong type of value for \"bind\"|");
    EXPECT_NE(failure_of([] { (void)parse_config("bind = \n", "r.toml"); }).find("r.toml:1"), std::string::npos);
}

TEST(RelayConfig, AValueOutOfRangeNamesItsSource) {
    EXPECT_EQ(failure_of([] {
                  (void)read({"--page-bytes", "1"});
              }),
              "--page-bytes: invalid value \"1\" for \"page_bytes\"|");
    EXPECT_EQ(failure_of([] { (void)read({}, {"PAYSYNC_LOG_LEVEL=wrning"}); }),
              "PAYSYNC_LOG_LEVEL: invalid value \"wrning\" for \"log_level\"|Did you mean \"warning\"?");
    EXPECT_NE(failure_of([] { (void)read({"--dsn", "secret"}); }).find("--dsn: invalid \"dsn\""), std::string::npos);
}

TEST(RelayConfig, AnUnknownOptionNamesTheNearestOne) {
    EXPECT_EQ(failure_of([] { (void)read({"--bnid=x"}); }), "unknown option \"--bnid=x\"|Did you mean \"--bind\"?");
    EXPECT_EQ(failure_of([] { (void)read({"pay"}); }), "unexpected argument \"pay\"|See paysync-relay --help.");
}

TEST(RelayConfig, AnUnreadableFileIsRefused) {
    EXPECT_NE(failure_of([] {
                  (void)read({"--config", "/nonexistent/r.toml"});
              }).find("cannot read"),
              std::string::npos);
    EXPECT_NE(failure_of([] { (void)read({"--config", "/"}); }).find("cannot read"), std::string::npos);
}

TEST(RelayConfig, OnlyLoopbackAndIpcAreBound) {
    EXPECT_EQ(check_endpoint("tcp://127.0.0.1:7420"), "tcp://127.0.0.1:7420");
    EXPECT_EQ(check_endpoint("tcp://127.0.0.1:0"), "tcp://127.0.0.1:*");
    EXPECT_EQ(check_endpoint("tcp://127.9.9.9:*"), "tcp://127.9.9.9:*");
    EXPECT_EQ(check_endpoint("tcp://localhost:1"), "tcp://127.0.0.1:1");
    EXPECT_EQ(check_endpoint("ipc:///run/x"), "ipc:///run/x");
    for (const char* const bad :
         {"tcp://0.0.0.0:1", "tcp://*:1", "tcp://10.0.0.1:1", "tcp://127.0.0.1", "tcp://127.0.0.1:70000",
          "tcp://127.0.0.1.evil.example:1", "tcp://lo:1", "udp://127.0.0.1:1", "ipc://", "inproc://x", ""}) {
        EXPECT_NE(failure_of([bad] { (void)check_endpoint(bad); }), "") << bad;
    }
}

}  // namespace
}  // namespace paysync::relay
