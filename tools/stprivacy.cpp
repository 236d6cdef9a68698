#include <cstdio>
int main() { std::puts("stprivacy"); }
